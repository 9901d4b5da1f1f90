"""
Classes by the votes of neighbours
==================================

:class:`~energyknn.estimators.KNNClassifier` predicts the class that most of the nearest rows have. More
neighbours give smoother regions. The share of the votes is a probability.
"""

import matplotlib.pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import make_moons
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.model_selection import train_test_split

from energyknn import KNNClassifier

X, y = make_moons(1_200, noise=0.3, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

figure, panels = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained", sharey=True)
for axes, k in zip(panels, (1, 30), strict=True):
    model = KNNClassifier(k).fit(X_train, y_train)
    shown = {"cmap": "RdBu", "alpha": 0.7, "grid_resolution": 60, "levels": 20}
    DecisionBoundaryDisplay.from_estimator(model, X, response_method="predict_proba", ax=axes, **shown)
    axes.scatter(*X_test.T, c=y_test, cmap="RdBu", s=12, edgecolors="#000000", linewidths=0.5)
    axes.set(title=f"k = {k}: {100 * model.score(X_test, y_test):.0f} % of the test rows right")
plt.show()

# %%
# Votes are calibrated where the curve lies on the diagonal: of the test rows for which 80 % of the neighbours
# vote, 80 % should have that class. One neighbour can only vote 0 or 1, and is too sure. Thirty are much
# nearer to the diagonal.

figure, axes = plt.subplots(layout="constrained")
for k, color in ((1, "#d55e00"), (30, "#0072b2")):
    model = KNNClassifier(k).fit(X_train, y_train)
    shown = {"name": f"k = {k}", "ax": axes, "color": color}
    CalibrationDisplay.from_estimator(model, X_test, y_test, n_bins=6, **shown)
axes.set(title="Share of the votes against share of the class")
plt.show()
