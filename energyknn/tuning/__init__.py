"""Scores of many candidates from one neighbour search per fold, and scikit-learn's grid search beside it.

Importing this package loads neither Ray nor Numba nor tune-sklearn. The functions that need them do.
"""

from energyknn.tuning.candidates import Candidate, score_candidates, score_leave_one_out
from energyknn.tuning.grid import scores_from_cv_results, search_grid
from energyknn.tuning.scores import CandidateScores, ScoreTable, SearchInterrupted, compare_candidates

__all__ = [
    "Candidate",
    "CandidateScores",
    "ScoreTable",
    "SearchInterrupted",
    "compare_candidates",
    "score_candidates",
    "score_leave_one_out",
    "scores_from_cv_results",
    "search_grid",
]
