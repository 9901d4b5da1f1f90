"""The learned distance: `learn` runs rounds, `gradient` differentiates the error, `planes` predict, `maps` map rows.

Its public face is `energyknn.MetricMap`.
"""
