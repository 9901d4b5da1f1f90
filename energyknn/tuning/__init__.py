"""Candidates to scores: scikit-learn's grid search, tune-sklearn's searches, and Ray Tune itself.

Importing this package loads neither Ray nor tune-sklearn; the modules that need them do.
"""

from energyknn.tuning.scores import SearchScores, scores_from_cv_results

__all__ = ["SearchScores", "scores_from_cv_results"]
