"""Networks, one architecture a file: initial weights, and logits from inputs.

An architecture is a module with three functions, and one line in `NETWORKS`:

- `allowed(recipe)` yields (field, whether its value will do, what would) for what this architecture demands;
- `initial(shape, numbers)` gives the parameters and the running statistics, two dicts of arrays;
- `forward(shape, numbers, params, running, x, training, key)` gives the logits, shape (examples, classes), and the
  running statistics after this batch. `key` is for dropout, and needed only where the recipe has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import jax

from sim.networks import convnet, mlp
from sim.shape import Numbers, Shape

__all__ = ["NETWORKS", "Network"]


class Network(Protocol):
    """What the module of an architecture defines."""

    def allowed(self, recipe: Any) -> Iterator[tuple[str, bool, str]]:
        """(field, whether its value will do, what would)."""

    def initial(self, shape: Shape, numbers: Numbers) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        """Parameters and running statistics."""

    def forward(
        self,
        shape: Shape,
        numbers: Numbers,
        params: dict[str, jax.Array],
        running: dict[str, jax.Array],
        x: jax.Array,
        training: bool,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Logits of shape (examples, classes), and the running statistics after this batch."""


NETWORKS: dict[str, Network] = {
    "convnet": convnet,
    "mlp": mlp,
}
