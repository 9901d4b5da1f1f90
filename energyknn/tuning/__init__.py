"""Scores of many candidates from one neighbour search per fold.

Importing this package loads neither Ray nor Numba nor tune-sklearn. The functions that need them do.
"""

from energyknn.tuning.candidates import Candidate, score_candidates, score_leave_one_out
from energyknn.tuning.scores import CandidateScores, ScoreTable, SearchInterrupted, compare_candidates

__all__ = [
    "Candidate",
    "CandidateScores",
    "ScoreTable",
    "SearchInterrupted",
    "compare_candidates",
    "score_candidates",
    "score_leave_one_out",
]
