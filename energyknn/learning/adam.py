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
        self.means = self.squares = tuple(np.zeros_like(array) for array in self.parameters)

    def step(self, gradients: Parameters, rate: float) -> None:
        """Take a step against the gradient."""
        self.n_steps += 1
        self.means = tuple(
            _BETA_MEAN * mean + (1 - _BETA_MEAN) * gradient
            for mean, gradient in zip(self.means, gradients, strict=True)
        )
        self.squares = tuple(
            _BETA_SQUARE * square + (1 - _BETA_SQUARE) * gradient.astype(np.float64) ** 2
            for square, gradient in zip(self.squares, gradients, strict=True)
        )
        bias_mean, bias_square = 1 - _BETA_MEAN**self.n_steps, 1 - _BETA_SQUARE**self.n_steps
        self.parameters = tuple(
            array * (1 - rate * self.weight_decay) - rate * (mean / bias_mean) / (np.sqrt(square / bias_square) + 1e-12)
            for array, mean, square in zip(self.parameters, self.means, self.squares, strict=True)
        )
