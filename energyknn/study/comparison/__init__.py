"""Other models on the same rows as the notebook's, and how certain each figure is."""
