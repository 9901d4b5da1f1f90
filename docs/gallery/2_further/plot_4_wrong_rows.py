"""
Rows that are wrong
===================

A row that does not fit its neighbours may be wrong. :func:`~energyknn.auditing.audit_table` puts the rows of a table in
that order. Here 20 prices of 600 have lost a digit.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from energyknn import NeighborsModel
from energyknn.auditing import audit_table

random = np.random.default_rng(0)
area, rooms = random.uniform(40, 200, 600), random.integers(1, 7, 600)
price = 3_000 * area + 20_000 * rooms + 30_000 * random.normal(size=600)
wrong = random.choice(600, 20, replace=False)
price[wrong] /= 10
homes = pd.DataFrame({"area": area, "rooms": rooms, "price": price})

found = audit_table(homes, NeighborsModel("price", effort="quick"))
print(found.rows.head(3)[["row", "price", "neighbors_price"]].round(1))

# %%
# Whoever reads the list from its top finds the wrong rows early.

is_wrong = np.isin(found.rows["row"], wrong)
figure, axes = plt.subplots(layout="constrained")
axes.plot(np.arange(1, 61), np.cumsum(is_wrong)[:60], color="#0072b2", label="worst misfit first")
axes.plot([0, 60], [0, 60 * 20 / 600], color="#555555", linestyle="--", label="in any order")
axes.set(title=f"{is_wrong[:30].sum()} of 20 wrong rows among the first 30", xlabel="rows read")
axes.set_ylabel("wrong rows found")
axes.set_yticks(range(0, 21, 5))
axes.legend()
plt.show()
