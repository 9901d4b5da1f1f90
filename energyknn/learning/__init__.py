"""The learned distance: how a map of rows is learned, what a map is, and the planes that predict after it."""
