"""
The rows behind a prediction
============================

A prediction by neighbours is made of training rows that can be named.
:func:`~energyknn.inspection.explain_predictions` finds them, and the share of each column in their distance.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

from energyknn import KNNRegressor, explain_predictions
from energyknn.inspection import tabulate_neighbors

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
rows = StandardScaler().set_output(transform="pandas").fit_transform(X)
model = KNNRegressor(8).fit(rows[1:], y[1:])
found = explain_predictions(model, rows[:1], rows[1:], n_neighbors=8)
table = tabulate_neighbors(found, labels=y[1:].to_frame())
print(table[["target", "weight", "distance"]].round(2))

# %%
# Each bar is one neighbour. Its length is the distance, and its parts are the columns in which the two rows
# differ. At the end stands the neighbour's target; their mean is the prediction.

figure, axes = plt.subplots(figsize=(7, 4.4), layout="constrained")
columns = table[X.columns].mean().nlargest(4).index
left, places = np.zeros(len(table)), np.arange(len(table))
colors = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#bbbbbb")
parts = {**{name: table[name] for name in columns}, "other columns": 1 - table[columns].sum(axis=1)}
for (name, share), color in zip(parts.items(), colors, strict=True):
    length = (share * table["distance"]).to_numpy()
    axes.barh(places, length, left=left, color=color, label=name)
    left += length
for place, target in zip(places, table["target"], strict=True):
    axes.text(left[place] + 0.02, place, f"{target:.0f}", va="center")
axes.set_yticks(places, [f"row {row}" for row in table.index])
axes.invert_yaxis()
axes.set(xlim=(0, 1.7 * left.max()), xlabel="distance")
axes.set_title(f"Predicted {found.predictions[0]:.0f}, actual {y[0]:.0f}")
axes.legend(title="differs in", loc="lower right")
plt.show()
