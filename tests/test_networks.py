"""Networks against a slow second implementation in NumPy: outputs, gradients, normalisation, dropout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim import networks
from sim.networks import NETWORKS
from sim.networks.convnet import TOGETHER
from sim.networks.layers import activated
from sim.recipe import Recipe
from sim.shape import Numbers, Shape
from sim.trained.scoring import loss

MLP = Recipe(classes=3, dimension=5, width=7, depth=2, normalisation="none", train_size=12, batch_size=6)
CONVNET = replace(MLP, network="convnet", dimension=16, width=3)
ARCHITECTURES = {
    **{f"mlp, {n}": replace(MLP, normalisation=n) for n in ("none", "batch", "layer")},
    **{f"convnet, {n}": replace(CONVNET, normalisation=n) for n in ("none", "batch", "layer")},
    "logistic regression": replace(MLP, depth=0),
}


def built(recipe: Recipe):
    """Shape, numbers, parameters in double precision with nothing at its special value, running statistics, inputs."""
    shape, numbers = Shape.of(recipe), Numbers.of(recipe)
    params, running = NETWORKS[recipe.network].initial(shape, numbers)
    rng = np.random.default_rng(0)
    params = {k: np.asarray(v, float) + 0.3 * rng.normal(size=v.shape) for k, v in params.items()}
    running = {k: np.asarray(v, float) + rng.uniform(0, 0.5, v.shape) for k, v in running.items()}
    return (
        shape,
        numbers,
        params,
        running,
        rng.normal(size=(6, recipe.dimension)),
        np.eye(recipe.classes)[[0, 1, 2, 0, 1, 2]],
    )


def forward(recipe: Recipe, params, running, x: np.ndarray, training: bool):
    """Logits and new running statistics, compiled as a whole."""
    shape, numbers = Shape.of(recipe), Numbers.of(recipe)
    run = jax.jit(lambda p, r, x: NETWORKS[recipe.network].forward(shape, numbers, p, r, x, training))
    return jax.tree.map(np.asarray, run(*jax.tree.map(np.float32, (params, running, x))))


def by_hand(recipe: Recipe, params, running, x: np.ndarray, training: bool) -> np.ndarray:
    """The logits, written out."""

    def normalised(x: np.ndarray, i: int) -> np.ndarray:
        if recipe.normalisation == "batch":
            flat = x.reshape(-1, x.shape[-1])
            mean, var = (flat.mean(0), flat.var(0)) if training else (running[f"mean{i}"], running[f"var{i}"])
        elif recipe.normalisation == "layer":
            mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        else:
            return x + params[f"b{i}"]
        return (x - mean) / np.sqrt(var + 1e-5) * params[f"g{i}"] + params[f"b{i}"]

    if recipe.network == "convnet":
        side = round(recipe.dimension**0.5)
        x = x.reshape(-1, side, side, 1)
        for i in range(recipe.depth):
            kernel = params[f"w{i}"].reshape(3, 3, x.shape[-1], -1)
            padded, out = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), np.zeros((*x.shape[:3], kernel.shape[-1]))
            for r in range(x.shape[1]):
                for c in range(x.shape[2]):
                    out[:, r, c] = np.einsum("nijc,ijck->nk", padded[:, r : r + 3, c : c + 3], kernel)
            out = np.maximum(normalised(out, i), 0)
            x = (out[:, ::2, ::2] + out[:, 1::2, ::2] + out[:, ::2, 1::2] + out[:, 1::2, 1::2]) / 4
        x = x.mean((1, 2))
    else:
        for i in range(recipe.depth):
            x = np.maximum(normalised(x @ params[f"w{i}"], i), 0)
    return x @ params[f"w{recipe.depth}"] + params[f"b{recipe.depth}"]


def test_every_architecture_is_registered_under_the_name_of_its_file():
    files = {path.stem for folder in networks.__path__ for path in Path(folder).glob("*.py")} - {"__init__", "layers"}

    assert files == set(NETWORKS) == {r.network for r in ARCHITECTURES.values()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_logits_are_those_of_the_definition(name, training):
    recipe = ARCHITECTURES[name]
    _, _, params, running, x, _ = built(recipe)
    logits, _ = forward(recipe, params, running, x, training)

    assert logits == pytest.approx(by_hand(recipe, params, running, x, training), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_gradient_is_that_of_finite_differences(name):
    recipe = ARCHITECTURES[name]
    shape, numbers, params, running, x, y = built(recipe)

    def objective(params):
        logits, _ = NETWORKS[recipe.network].forward(shape, numbers, params, running, jnp.asarray(x, jnp.float32), True)
        return loss(logits, jnp.asarray(y, jnp.float32))

    def slow(params) -> float:
        logits = by_hand(recipe, params, running, x, True)
        return float(np.mean(np.log(np.exp(logits).sum(1)) - (y * logits).sum(1)))

    gradient = jax.jit(jax.grad(objective))({k: jnp.asarray(v, jnp.float32) for k, v in params.items()})
    rng = np.random.default_rng(1)
    for key, value in params.items():
        direction = rng.normal(size=value.shape)
        steps = [slow({**params, key: value + s * direction}) for s in (1e-6, -1e-6)]

        assert float((np.asarray(gradient[key]) * direction).sum()) == pytest.approx(
            (steps[0] - steps[1]) / 2e-6, rel=2e-3, abs=2e-5
        ), key


def test_batch_statistics_are_tracked_as_in_pytorch():
    _, _, params, running, x, _ = built(ARCHITECTURES["mlp, batch"])
    _, updated = forward(ARCHITECTURES["mlp, batch"], params, running, x, True)
    first = x @ params["w0"]

    assert np.asarray(updated["mean0"]) == pytest.approx(
        0.9 * running["mean0"] + 0.1 * first.mean(0), rel=1e-4, abs=1e-6
    )
    assert np.asarray(updated["var0"]) == pytest.approx(0.9 * running["var0"] + 0.1 * first.var(0, ddof=1), rel=1e-4)


def test_evaluation_leaves_the_running_statistics_alone():
    _, _, params, running, x, _ = built(ARCHITECTURES["convnet, batch"])
    _, updated = forward(ARCHITECTURES["convnet, batch"], params, running, x, False)

    assert all(np.array_equal(updated[k], np.float32(running[k])) for k in running)


def test_many_images_are_evaluated_as_each_alone():
    recipe = ARCHITECTURES["convnet, batch"]
    _, _, params, running, _, _ = built(recipe)
    x = np.random.default_rng(1).normal(size=(2 * TOGETHER + 3, 16))
    together, _ = forward(recipe, params, running, x, False)

    alone = [np.asarray(forward(recipe, params, running, one[None], False)[0])[0] for one in x]

    assert np.asarray(together) == pytest.approx(np.array(alone), rel=1e-5, abs=1e-5)


def dropped(share: float, training: bool, key: int = 0) -> np.ndarray:
    """What leaves a layer whose units would all be 1."""
    recipe = replace(MLP, dropout=share)
    args = (Shape.of(recipe), Numbers.of(recipe), {"b0": jnp.zeros(50)}, {}, 0, jnp.ones((400, 50)), training)
    return np.asarray(activated(*args, jax.random.key(key))[0])


def test_dropout_leaves_out_its_share_of_units_and_scales_the_others_so_that_the_mean_stays():
    out = dropped(0.3, True)

    assert set(np.unique(out).round(5)) == {np.float32(0), np.float32(1 / 0.7).round(5)}
    assert (out == 0).mean() == pytest.approx(0.3, abs=0.013)  # four standard errors of 20,000 draws
    assert out.mean() == pytest.approx(1, abs=0.02)
    assert not np.array_equal(out, dropped(0.3, True, key=1))


def test_dropout_does_nothing_in_evaluation():
    assert (dropped(0.3, False) == 1).all()


def test_dropout_without_a_key_is_refused():
    recipe = replace(MLP, dropout=0.5)
    shape, numbers, params, running, x, _ = built(recipe)

    with pytest.raises(ValueError, match="needs a key"):
        NETWORKS["mlp"].forward(shape, numbers, params, running, jnp.asarray(x, jnp.float32), True)


def test_initial_weights_have_the_variance_of_he_times_the_square_of_their_scale():
    recipe = replace(MLP, dimension=200, width=300, init_scale=3.0)
    params, _ = NETWORKS["mlp"].initial(Shape.of(recipe), Numbers.of(recipe))

    assert np.asarray(params["w0"]).std() == pytest.approx(3 * np.sqrt(2 / 200), rel=0.02)
    assert not np.asarray(params["b0"]).any()
