/* A search finds pages first: what a page is called counts more than the names of the functions on it. */
var Scorer = {
  objNameMatch: 12,
  objPartialMatch: 3,
  objPrio: { 0: 2, 1: 0, 2: -5 },
  objPrioDefault: 0,
  title: 20,
  partialTitle: 12,
  term: 5,
  partialTerm: 2,
};
