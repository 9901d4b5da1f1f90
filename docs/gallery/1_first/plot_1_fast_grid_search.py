"""
A grid search in a second
=========================

``GridSearchCV`` fits and searches anew for every candidate and fold: 800 times for these 200 candidates.
:func:`~energyknn.estimators.from_grid_search` gives the same scores from one neighbour search for each fold.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor

from energyknn import from_grid_search

X, y = make_friedman1(2_000, n_features=6, noise=1.0, random_state=0)
grid = {"n_neighbors": range(1, 101), "weights": ["uniform", "distance"]}
search = from_grid_search(GridSearchCV(KNeighborsRegressor(), grid, cv=4))  # the one line that changes
search.fit(X, y)
print(search.best_params_)

# %%
# ``cv_results_`` is that of scikit-learn. Here it gives a curve for each way to weigh the neighbours, with a
# band of one standard error over the four folds, and a star at the best candidate.

found = search.cv_results_
figure, axes = plt.subplots(layout="constrained")
for weights, color in (("uniform", "#0072b2"), ("distance", "#e69f00")):
    rows = found["param_weights"] == weights
    k, mean = found["param_n_neighbors"][rows].astype(int), found["mean_test_score"][rows]
    error = found["std_test_score"][rows] / np.sqrt(4)
    axes.plot(k, mean, color=color, label=weights)
    axes.fill_between(k, mean - error, mean + error, color=color, alpha=0.2, linewidth=0)
axes.plot(search.best_params_["n_neighbors"], search.best_score_, "*", markersize=14, color="#000000")
axes.set(title="200 candidates, four searches", xlabel="neighbours k", ylabel="mean validation R²", xscale="log")
axes.set_xticks([1, 3, 10, 30, 100], [1, 3, 10, 30, 100])
axes.legend(title="weights")
plt.show()
