"""
What a learned distance looks at
================================

In a plain distance every column counts alike. :class:`~energyknn.estimators.MetricMap` learns from the
targets which columns bring rows with similar targets together. Here two columns of six matter.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline

from energyknn import KNNRegressor, MetricMap
from energyknn.inspection import weigh_columns

random = np.random.default_rng(0)
X = random.normal(size=(1_500, 6))
y = np.sin(2 * X[:, 0]) + 0.5 * X[:, 1] ** 2 + 0.1 * random.normal(size=len(X))
train, test = slice(0, 1_000), slice(1_000, None)

plain = KNNRegressor(10).fit(X[train], y[train])
learned = make_pipeline(MetricMap(2, n_rounds=12), KNNRegressor(10)).fit(X[train], y[train])
scores = {name: model.score(X[test], y[test]) for name, model in (("plain", plain), ("learned", learned))}
print({name: round(score, 3) for name, score in scores.items()})

# %%
# :func:`~energyknn.inspection.weigh_columns` measures the share of each column in the squared distances.

figure, axes = plt.subplots(layout="constrained")
places = np.arange(X.shape[1])
for model, name, offset, color in ((plain, "plain", -0.2, "#555555"), (learned, "learned", 0.2, "#0072b2")):
    shares = 100 * weigh_columns(model, X[test])["share"].sort_index().to_numpy()
    axes.bar(places + offset, shares, width=0.4, color=color, label=f"{name}: R² {scores[name]:.2f} on test rows")
axes.set(title="The learned distance finds the two columns", xlabel="column", ylabel="share of the distance (%)")
axes.set_xticks(places)
axes.legend()
plt.show()
