"""
What an approximate search leaves out
=====================================

An approximate search looks at some of the rows. This one cuts them into 50 cells and opens those whose
centres are nearest. :func:`~energyknn.neighbors.search_neighbors` is exact: it rules the other rows out by
bounds that hold.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans

from energyknn import search_neighbors

random = np.random.default_rng(0)
X, queries, k = random.normal(size=(5_000, 8)), random.normal(size=(200, 8)), 10
exact = search_neighbors(X, queries, n_neighbors=k).indices

cells = KMeans(50, n_init=1, random_state=0).fit(X)
order = np.argsort(cells.transform(queries), axis=1)  # the cells of each query, the nearest first
opened = np.array([1, 2, 3, 5, 10, 20, 50])
recall = []
for n_cells in opened:
    hits = [np.isin(cells.labels_[near], order[query, :n_cells]).mean() for query, near in enumerate(exact)]
    recall.append(100 * np.mean(hits))

# %%
# Recall is the share of the true neighbours that are found. It reaches 100 % only when all cells are opened.
# With the exact search there is no such choice to make.

figure, axes = plt.subplots(layout="constrained")
axes.plot(100 * opened / 50, recall, marker="o", color="#e69f00", label="approximate: the nearest cells")
axes.axhline(100, color="#0072b2", label="exact")
axes.set(title=f"{recall[0]:.0f} % of the neighbours lie in the nearest cell", xlabel="cells opened (%)", xscale="log")
axes.set_xticks([2, 5, 10, 20, 50, 100], [2, 5, 10, 20, 50, 100])
axes.set(ylabel=f"true {k} nearest rows found (%)", ylim=(0, 105))
axes.legend(loc="lower right")
plt.show()
