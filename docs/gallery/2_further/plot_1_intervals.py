"""
Intervals that are wide where the noise is
==========================================

:class:`~energyknn.estimators.IntervalRegressor` gives each prediction an interval that covers 90 % of new
targets. It takes its width from how the targets of the neighbours scatter.
"""

import matplotlib.pyplot as plt
import numpy as np

from energyknn import IntervalRegressor, KNNRegressor
from energyknn.estimators import measure_coverage

random = np.random.default_rng(0)


def draw_rows(n_rows):
    """Return rows and targets on a wave, with noise that grows from left to right."""
    X = random.uniform(0, 6, (n_rows, 1))
    return X, np.sin(X[:, 0]) + 0.15 * X[:, 0] * random.normal(size=n_rows)


X, y = draw_rows(1_500)
model = IntervalRegressor(KNNRegressor(30), coverage=0.9, n_neighbors=60).fit(X, y)

X_new, y_new = draw_rows(1_500)
coverage = measure_coverage(y_new, model.predict_interval(X_new)).loc["all", "coverage"]
print(f"{100 * coverage:.1f} % of the new targets are covered")

# %%
# The line is the prediction, the band its interval.

grid = np.linspace(0, 6, 300)[:, np.newaxis]
lower, upper = model.predict_interval(grid)
figure, axes = plt.subplots(layout="constrained")
axes.scatter(X_new, y_new, s=5, color="#555555", alpha=0.5, label="new rows")
axes.fill_between(grid[:, 0], lower, upper, color="#0072b2", alpha=0.25, linewidth=0, label="90 % interval")
axes.plot(grid, model.predict(grid), color="#0072b2", label="prediction")
axes.set(title=f"The band covers {100 * coverage:.0f} % of the new targets", xlabel="x", ylabel="target")
axes.legend(loc="upper left")
plt.show()
