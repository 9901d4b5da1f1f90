"""The optimisers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from energyknn.learning.maps import Parameters
from energyknn.learning.orthogonal import orthogonalise

_BETA_MEAN, _BETA_SQUARE = 0.9, 0.98  # there are few steps, so squares are remembered for a short time
_MOMENTUM = 0.95
_CHANGE = 0.2  # root of the mean square of a matrix's change, for a rate of 1


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
        stepped = []
        for array, mean, square, gradient in zip(self.parameters, self.means, self.squares, gradients, strict=True):
            change = rate * self.choose_change(mean, square, gradient)
            stepped.append(array * (1 - rate * self.weight_decay) - change)
        self.parameters = tuple(stepped)  # new arrays: maps that are kept share the old ones

    def choose_change(self, mean: NDArray[Any], square: NDArray[Any], gradient: NDArray[Any]) -> NDArray[Any]:
        """Choose the change of an array for a rate of 1, and remember the gradient."""
        mean[...] = _BETA_MEAN * mean + (1 - _BETA_MEAN) * gradient
        square[...] = _BETA_SQUARE * square + (1 - _BETA_SQUARE) * gradient.astype(np.float64) ** 2
        bias_mean, bias_square = 1 - _BETA_MEAN**self.n_steps, 1 - _BETA_SQUARE**self.n_steps
        change: NDArray[Any] = (mean / bias_mean) / (np.sqrt(square / bias_square) + 1e-12)
        return change


class Muon(Adam):
    """Steps that go equally far in all directions of a matrix, and Adam's steps for vectors.

    Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024, with Nesterov's momentum.
    """

    def choose_change(self, mean: NDArray[Any], square: NDArray[Any], gradient: NDArray[Any]) -> NDArray[Any]:
        """Choose the change of an array for a rate of 1, and remember the gradient."""
        if gradient.ndim < 2:
            return super().choose_change(mean, square, gradient)
        mean[...] = _MOMENTUM * mean + (1 - _MOMENTUM) * gradient
        directions = orthogonalise(_MOMENTUM * mean + (1 - _MOMENTUM) * gradient)
        return float(_CHANGE * np.sqrt(max(gradient.shape))) * directions


OPTIMISERS = {"adam": Adam, "muon": Muon}
