"""
A table as it is
================

:class:`~energyknn.neighbors_model.NeighborsModel` takes a raw table and the name of a column. It finds out what
the other columns are, tunes itself, and says how good it is. Here it predicts the price of diamonds that are made up.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from energyknn import NeighborsModel

random = np.random.default_rng(0)
carat, cut = random.uniform(0.2, 2, 900), random.choice(["fair", "good", "ideal"], 900)
price = 4_000 * carat**1.5 * (1 + 0.2 * (cut == "ideal")) * random.lognormal(sigma=0.1, size=900)
names = [f"stone {number}" for number in range(900)]
diamonds = pd.DataFrame({"name": names, "carat": carat.round(2), "cut": cut, "price": price.round(-1)})

model = NeighborsModel("price", effort="quick", unit="EUR").fit(diamonds[:600])
print(model.roles_["why"].to_string())
print(*model.quality_.describe().split("; "), sep="\n")

# %%
# Each new diamond has a prediction and an interval. Nine in ten intervals should reach the diagonal, where the
# prediction is right.

new = diamonds[600:660]
predicted, (lower, upper) = model.predict(new), model.predict_interval(new)
inside = (lower <= new["price"]) & (new["price"] <= upper)
figure, axes = plt.subplots(layout="constrained")
axes.plot([0, 14_000], [0, 14_000], color="#000000", linewidth=1)
for hit, color, label in ((True, "#0072b2", "in the interval"), (False, "#d55e00", "outside")):
    rows = (inside == hit).to_numpy()
    reach = np.abs(np.stack([lower, upper]) - predicted)[:, rows]
    shown = {"fmt": "o", "markersize": 4, "color": color, "label": label}
    axes.errorbar(new["price"][rows], predicted[rows], yerr=reach, **shown)
axes.set(title=f"{100 * inside.mean():.0f} % of 60 new prices lie in their interval", xlabel="price (EUR)")
axes.set_ylabel("predicted (EUR)")
axes.legend()
plt.show()
