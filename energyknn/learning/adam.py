"""The optimiser."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from energyknn.learning.maps import Parameters

_BETA_MEAN, _BETA_SQUARE = 0.9, 0.98  # there are few steps, so squares are remembered for a short time


@dataclass(eq=False)
class Adam:
    """Steps against the gradient (Kingma and Ba, Adam: a method for stochastic optimization, 2015).

    The decay is separate from the gradient (Loshchilov and Hutter, Decoupled weight decay regularization, 2019).
    """

    parameters: Parameters
    weight_decay: float
    n_steps: int = 0
    means: Parameters = field(init=False)
    squares: Parameters = field(init=False)

    def __post_init__(self) -> None:
        self.means, self.squares = (tuple(map(np.zeros_like, self.parameters)) for _ in range(2))

    def step(self, gradients: Parameters, rate: float) -> None:
        """Take a step against the gradient."""
        self.n_steps += 1
        bias_mean, bias_square = 1 - _BETA_MEAN**self.n_steps, 1 - _BETA_SQUARE**self.n_steps
        stepped = []
        for array, mean, square, gradient in zip(self.parameters, self.means, self.squares, gradients, strict=True):
            mean[...] = _BETA_MEAN * mean + (1 - _BETA_MEAN) * gradient
            square[...] = _BETA_SQUARE * square + (1 - _BETA_SQUARE) * gradient.astype(np.float64) ** 2
            change = rate * (mean / bias_mean) / (np.sqrt(square / bias_square) + 1e-12)
            stepped.append(array * (1 - rate * self.weight_decay) - change)
        self.parameters = tuple(stepped)  # new arrays: maps that are kept share the old ones
