/* A search finds pages first: what a page is called counts more than the names of the functions on it. */
var Scorer = {
  score: ([page, , place, , score, , kind]) => {
    const isWhole = kind === "title" && !place; // the query stands as it is in the title of the page
    if (/^(how_to\/|study)/.test(page)) return score + (isWhole ? 24 : 8);
    return /^(changelog|contributing|development\/)/.test(page) ? score - 8 : score;
  },
  objNameMatch: 12,
  objPartialMatch: 3,
  objPrio: { 0: 2, 1: 0, 2: -5 },
  objPrioDefault: 0,
  title: 20,
  partialTitle: 12,
  term: 5,
  partialTerm: 2,
};
