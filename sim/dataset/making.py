"""Make a data set: begin it or go on with it, have its shards made, and finish it with a card.

Nothing here grows with the number of runs but the list of shards. The folder depends on the plan, the type of machine
and the versions of the libraries; not on the engine, the number of workers, or how often it was interrupted.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from detectors.progress import progress, say
from sim.catalogue import model
from sim.dataset.card import card, sheet
from sim.dataset.columns import explained
from sim.dataset.folder import CARD, SHEET, Begun, check, manifest, opened, put
from sim.dataset.planning import SPLIT, Plan, plan
from sim.dataset.read import verify
from sim.dataset.shard import added, make
from sim.engines import ENGINES, Crowd, cores
from sim.machine import libraries
from sim.model import Tier

__all__ = ["produce", "workers_for", "write"]


def write(
    out: str | Path,
    *,
    tier: str = "composed",
    runs: int,
    seed: int = 0,
    split: tuple[float, float, float] = SPLIT,
    recipes: str = "",
    shard: int | None = None,
    workers: int = 1,
    quiet: bool = True,
) -> Path:
    """Write `runs` labelled runs of a tier or a model into a new folder, or go on where an earlier call was stopped.

    `recipes` is the content of a recipe file (`sim.recipe_file.load`), `shard` about how many runs a file holds. With
    several `workers` the module that calls this needs `if __name__ == "__main__":`. OSError says what is wrong with the
    folder, ValueError and KeyError what cannot be asked for.
    """
    made = plan(tier, runs=runs, seed=seed, split=split, recipes=recipes, shard=shard)
    return produce(Path(out), made, Crowd(workers=workers), quiet=quiet)


def produce(out: Path, planned: Plan, crowd: Crowd, *, engine: str = "local", quiet: bool = False) -> Path:
    """Make the data set of `planned` in `out`, or what of it is missing there; one that is complete is verified.

    `sim.engines.Lost` says why workers cannot go on; what they have finished stays.
    """
    hired = partial(ENGINES[engine].opened, partial(make, planned), crowd)
    if check(out, planned):
        document = manifest(out)
        lost = [n for n, shard in enumerate(document["shards"]) if not (out / shard["file"]).exists()]
        if lost:
            with hired() as crew:
                for shard in crew.results(lost, lambda runs: None):
                    if shard.sha256 == document["shards"][shard.number]["sha256"]:
                        put(out / planned.file(shard.number), shard.content)
        with progress(planned.runs, "runs", "verifying", quiet=quiet) as advance:
            verify(out, document, advance)
        return out
    with (
        hired() as crew,
        progress(planned.runs, "runs", quiet=quiet) as advance,
        opened(out, planned, crew.machine, libraries(), advance) as begun,
    ):
        if begun.done and not quiet:
            say(f"going on: {len(begun.done):,} of {planned.shards:,} shards are there")
        enough = _space(begun, quiet)
        for shard in crew.results(begun.missing, advance):
            begun.add(shard)
            enough()
        _finish(begun)
    return out


def workers_for(planned: Plan) -> int:
    """How many processes are worth it on this machine: one a core, and never more than shards.

    Trained models have threads of their own: one process uses all cores.
    """
    trained = model(planned.model).tier is Tier.TRAINED
    return 1 if trained else max(1, min(len(cores()), planned.shards))


def _space(begun: Begun, quiet: bool) -> Callable[[], None]:
    """A function that says, after the first shard, if what is left will not fit on the disk."""
    warned = quiet

    def enough() -> None:
        nonlocal warned
        if warned:
            return
        warned = True
        done = begun.done.values()
        each = sum(line["bytes"] for line in done) / sum(line["runs"] for line in done)
        left = each * (begun.plan.runs - sum(line["runs"] for line in done))
        free = shutil.disk_usage(begun.out).free
        if left > free:
            say(f"curvesense: the rest takes about {left / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free")

    return enough


def _finish(begun: Begun) -> None:
    tally = added(line["tally"] for line in begun.done.values())
    columns = explained(model(begun.plan.model))
    first = begun.out / begun.plan.file(0)
    examples = sheet(first, begun.out.name)
    put(begun.out / CARD, card(begun.plan, tally, columns, begun.header).encode())
    begun.finish(tally, {SHEET: examples}, columns)
