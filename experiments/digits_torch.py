"""The digits recipe as an ordinary PyTorch loop, its twins without a drop, and what a practitioner's log does not have.

The data, wrong labels and initial weights are those of `sim.trained` for the same recipe; the loop, the network, the
optimiser and every draw from then on are PyTorch's. A sister is another seed of those draws. Each epoch has a generator
of its own, so that a twin, which goes on from the state of its run where a drop is left out, has the same minibatches,
moves and noise as its run.

`python experiments/digits_torch.py --seed 1000 --label-noise 0.2 --out FOLDER` trains one run and writes `run.csv`, the
log, and for each drop `without-drop-at-EPOCH.csv`. Needs torch and scikit-learn: the extra [digits].
"""

from __future__ import annotations

import argparse
import copy
import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax

from sim import labels
from sim.networks import NETWORKS
from sim.randomness import Purpose
from sim.recipe import Recipe, without_drop
from sim.schedules import Schedule
from sim.shape import Numbers, Shape
from sim.toydata import TOYDATA
from sim.trained.program import LANES, programs

LOG = ("epoch", "learning_rate", "train_loss", "val_loss", "train_accuracy", "val_accuracy")

#: Found by looking at seeds 1000 and 1001 alone: `experiments/README.md`.
DIGITS = Recipe(
    data="digits",
    classes=10,
    dimension=64,
    label_noise=0.2,
    train_size=384,
    val_size=512,
    network="convnet",
    width=32,
    augmentation=0.0,
    learning_rate=0.05,
    schedule=Schedule(milestones=(30, 45)),
    epochs=60,
)

_EPOCHS = 1 << 20  # more than a run has: seeds of generators are epochs of sisters, one after another


@dataclass(frozen=True, kw_only=True)
class Data:
    """Images of shape (examples, 1, side, side); labels as classes, but `chances`, of each class, for the held-out."""

    x: torch.Tensor
    y: torch.Tensor
    xv: torch.Tensor
    yv: torch.Tensor
    held_out: torch.Tensor
    chances: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Curves:
    """What is measured after each epoch: the `log`, by column, and what it does not have.

    `train_loss_eval` is on the training set in evaluation mode; `losses` of shape (epochs, images) are those of the
    held-out images, expectations over the noise of their labels; `held_out_accuracy` likewise; `risk_calibrated` is
    their mean loss with the logits of each half divided by the temperature that is best for the other.
    """

    log: dict[str, np.ndarray]
    train_loss_eval: np.ndarray
    losses: np.ndarray
    held_out_accuracy: np.ndarray
    risk_calibrated: np.ndarray

    @classmethod
    def joined(cls, rows: list[dict[str, Any]]) -> Curves:
        """The curves of epochs one after another."""
        columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        return cls(log={name: columns.pop(name) for name in LOG}, **columns)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel, as in `sim.networks.layers`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


WEIGHTED = (nn.Conv2d, nn.Linear)
NORMS = {  # for units, for channels
    "none": (nn.Identity, nn.Identity),
    "batch": (nn.BatchNorm1d, nn.BatchNorm2d),
    "layer": (nn.LayerNorm, ChannelNorm),
}


def network(recipe: Recipe) -> nn.Sequential:
    """The network of `sim.networks` that the recipe names; a normalisation has the bias of the layer before it."""
    units, channels = NORMS[recipe.normalisation]
    bias, width = recipe.normalisation == "none", recipe.width
    layers: list[nn.Module] = [] if recipe.network == "convnet" else [nn.Flatten()]
    for layer in range(recipe.depth):
        if recipe.network == "convnet":
            layers += [nn.Conv2d(width if layer else 1, width, 3, padding=1, bias=bias), channels(width), nn.ReLU()]
            layers.append(nn.AvgPool2d(2))
        else:
            fan_in = width if layer else recipe.dimension
            layers += [nn.Linear(fan_in, width, bias=bias), units(width), nn.ReLU()]
    if recipe.network == "convnet":
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(width, recipe.classes))


def load(net: nn.Sequential, params: dict[str, np.ndarray]) -> None:
    """Put the parameters of the fleet's network into `net`."""
    weighted = [m for m in net if isinstance(m, WEIGHTED)]
    norms = [m for m in net if hasattr(m, "weight") and not isinstance(m, WEIGHTED)]
    with torch.no_grad():
        for i, module in enumerate(weighted):
            w, b = torch.tensor(params[f"w{i}"]), torch.tensor(params[f"b{i}"])
            pixels = isinstance(module, nn.Conv2d)
            module.weight.copy_(w.reshape(3, 3, module.in_channels, -1).permute(3, 2, 0, 1) if pixels else w.T)
            (norms[i] if module.bias is None else module).bias.copy_(b)
        for i, norm in enumerate(norms):
            norm.weight.copy_(torch.tensor(params[f"g{i}"]))


def optimiser(net: nn.Sequential, recipe: Recipe) -> torch.optim.SGD:
    """SGD with Nesterov's momentum and coupled weight decay."""
    return torch.optim.SGD(
        net.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )


def prepared(recipe: Recipe) -> tuple[Data, dict[str, np.ndarray]]:
    """The data and the initial parameters of the fleet."""
    shape, numbers = Shape.of(recipe), Numbers.of(recipe)
    data, _ = programs(shape)[0](numbers, np.arange(LANES, dtype=np.uint32))
    left = len(data["world"]) - recipe.train_size - recipe.val_size
    x, digits = TOYDATA["digits"].examples(
        shape, numbers, data["world"], left, jax.random.key(recipe.seed), Purpose.POPULATION
    )
    chances = labels.soft(shape, digits, recipe.population_label_noise)

    def images(values: Any) -> torch.Tensor:
        return torch.tensor(np.asarray(values)).reshape(-1, 1, shape.side, shape.side)

    return Data(
        x=images(data["x"]),
        y=torch.tensor(np.asarray(data["y"])).argmax(1),
        xv=images(data["xv"]),
        yv=torch.tensor(np.asarray(data["yv"])).argmax(1),
        held_out=images(x),
        chances=torch.tensor(np.asarray(chances)),
    ), {name: np.asarray(value) for name, value in NETWORKS[recipe.network].initial(shape, numbers)[0].items()}


def batches(data: Data, recipe: Recipe, sister: int, epoch: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The minibatches of an epoch, each image moved by up to `shift_augmentation` pixels, with Gaussian noise."""
    draws = torch.Generator().manual_seed((recipe.seed * 64 + sister) * _EPOCHS + epoch)
    count = recipe.train_size // recipe.batch_size * recipe.batch_size
    order = torch.randperm(recipe.train_size, generator=draws)[:count]
    x, most, side = data.x[order], recipe.shift_augmentation, data.x.shape[-1]
    if most:
        corner = torch.randint(0, 2 * most + 1, (2, count), generator=draws)
        row, column = corner[:, :, None] + torch.arange(side)
        padded = nn.functional.pad(x[:, 0], (most,) * 4)
        x = padded[torch.arange(count)[:, None, None], row[:, :, None], column[:, None, :]][:, None]
    x = x + recipe.augmentation * torch.randn(x.shape, generator=draws)
    return list(zip(x.split(recipe.batch_size), data.y[order].split(recipe.batch_size), strict=True))


def step(net: nn.Sequential, sgd: torch.optim.SGD, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """One step of training mode; the loss and the accuracy of the minibatch before it."""
    logits = net(x)
    loss = cross_entropy(logits, y)
    sgd.zero_grad()
    loss.backward()
    sgd.step()
    return loss.item(), float((logits.argmax(1) == y).float().mean())


def calibrated(logits: np.ndarray, chances: np.ndarray) -> float:
    """Mean loss with each half's logits divided by the temperature that is best for the other half."""

    def loss(inverse: float, half: slice) -> float:
        z = inverse * logits[half]
        top = z.max(1)
        return float(np.mean(top + np.log(np.exp(z - top[:, None]).sum(1)) - (chances[half] * z).sum(1)))

    middle = len(logits) // 2
    halves = slice(middle), slice(middle, None)
    swapped = []
    for fitted, judged in (halves, halves[::-1]):
        best = minimize_scalar(
            lambda b, half=fitted: loss(np.exp(b), half), bounds=(-4.6, 4.6), method="bounded", options={"xatol": 0.01}
        )
        swapped.append(loss(np.exp(best.x), judged))
    return float(np.mean(swapped))


def measured(net: nn.Sequential, data: Data) -> dict[str, Any]:
    """What an epoch ends with, in evaluation mode."""
    net.eval()
    with torch.inference_mode():
        logits, seen, fresh = net(data.xv), net(data.x), net(data.held_out)
        losses = -(data.chances * log_softmax(fresh, 1)).sum(1)
        top = fresh.argmax(1, keepdim=True)
        out = {
            "val_loss": cross_entropy(logits, data.yv).item(),
            "val_accuracy": float((logits.argmax(1) == data.yv).float().mean()),
            "train_loss_eval": cross_entropy(seen, data.y).item(),
            "losses": losses.numpy(),
            "held_out_accuracy": float(data.chances.gather(1, top).mean()),
        }
    net.train()
    return out | {"risk_calibrated": calibrated(fresh.numpy(), data.chances.numpy())}


def train(
    data: Data, params: dict[str, np.ndarray], recipe: Recipe, sister: int, twins: bool = True
) -> dict[str | int, Curves]:
    """One sister of the run, under "run", and its twin without each drop, under the drop's milestone."""
    milestones = recipe.schedule.milestones if twins else ()
    changed = {m: without_drop(recipe, k) for k, m in enumerate(milestones)}
    net = network(recipe)
    load(net, params)
    sgd = optimiser(net, recipe)
    out: dict[str | int, Curves] = {}
    lent: dict[int, Any] = {}

    def go_on(net: nn.Sequential, sgd: torch.optim.SGD, recipe: Recipe, begin: int) -> list[dict[str, Any]]:
        rates, rows = recipe.schedule.rates(recipe.learning_rate, recipe.epochs), []
        for epoch in range(begin, recipe.epochs):
            if recipe.schedule.skipped == () and epoch in changed:
                lent[epoch] = copy.deepcopy((net.state_dict(), sgd.state_dict()))
            for group in sgd.param_groups:
                group["lr"] = rates[epoch]
            logged = np.mean([step(net, sgd, x, y) for x, y in batches(data, recipe, sister, epoch)], 0)
            row = {"epoch": epoch + 1, "learning_rate": rates[epoch], "train_loss": logged[0]}
            rows.append({**row, "train_accuracy": logged[1], **measured(net, data)})
        return rows

    rows = go_on(net, sgd, recipe, 0)
    out["run"] = Curves.joined(rows)
    for milestone, twin in changed.items():
        weights, moments = lent[milestone]
        net.load_state_dict(weights)
        sgd.load_state_dict(moments)
        out[milestone] = Curves.joined(rows[:milestone] + go_on(net, sgd, twin, milestone))
    return out


def write_log(path: Path, log: dict[str, np.ndarray]) -> None:
    """The log as a CSV of six digits, as a practitioner has it."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LOG)
        writer.writerows([[f"{value:.6g}" for value in row] for row in zip(*(log[n] for n in LOG), strict=True)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--label-noise", type=float, default=0.2)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    recipe = replace(DIGITS, seed=args.seed, label_noise=args.label_noise)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, curves in train(*prepared(recipe), recipe, 0).items():
        write_log(args.out / ("run.csv" if name == "run" else f"without-drop-at-{name}.csv"), curves.log)


if __name__ == "__main__":
    main()
