"""Why a model predicts what it does: the training rows behind a prediction and the columns behind a distance."""
