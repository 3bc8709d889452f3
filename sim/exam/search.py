"""Hypothesis as a search: for an example that fails, for the worst spec, for a sample of specs. It judges no rate.

Every search is deterministic under its number, keeps no database, and prints nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import hypothesis.internal.conjecture.providers as providers
from hypothesis import HealthCheck, Phase, Verbosity, given, settings, target
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from sim.exam.subject import Spec

__all__ = ["Violation", "falsify", "sample", "worst"]


class Violation(Exception):
    """A property does not hold; the message says on which numbers."""


def falsify(
    test: Callable[..., None],
    strategies: dict[str, st.SearchStrategy[Any]],
    *,
    examples: int,
    number: int,
    shrinks: int,
) -> int:
    """Look for an example on which `test` raises Violation, shrink it with `shrinks` more; how many were tried.

    The last example that raised is the simplest one.
    """
    tried = 0
    left: int | None = None  # examples that may still be tried, once one has failed

    @seeded(number)
    @_settings(examples, [Phase.generate, Phase.shrink])
    @given(**strategies)
    def attempt(**values: Any) -> None:
        nonlocal tried, left
        if left == 0:
            return
        tried += 1
        left = None if left is None else left - 1
        try:
            test(**values)
        except Violation:
            left = shrinks if left is None else left
            raise

    with _alone(), contextlib.suppress(Violation, Flaky):  # flaky: none is left, or the detector does not repeat itself
        attempt()
    return tried


def worst(bad: Callable[[Spec], int], specs: st.SearchStrategy[Any], *, examples: int, number: int) -> tuple[Spec, int]:
    """The spec of which `bad` counts most, the first of several, and how many were tried."""
    tried: list[tuple[int, int, Spec]] = []

    @seeded(number)
    @_settings(examples, [Phase.generate, Phase.target])
    @given(spec=specs)
    def search(spec: Spec) -> None:
        count = bad(spec)
        target(float(count))
        tried.append((count, -len(tried), spec))

    with _alone():
        search()
    return max(tried, key=lambda t: t[:2])[2], len(tried)


def sample(specs: st.SearchStrategy[Any], *, examples: int, number: int) -> list[Spec]:
    """So many specs, as they are drawn."""
    drawn: list[Spec] = []

    @seeded(number)
    @_settings(examples, [Phase.generate])
    @given(spec=specs)
    def draw(spec: Spec) -> None:
        drawn.append(spec)

    with _alone():
        draw()
    return drawn


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Without the constants that Hypothesis finds in the user's modules: draws would depend on what is imported."""
    get: Any = getattr(providers, "_get_local_constants", None)
    if get is None:  # an older version, which picks up none
        yield
        return
    nothing = type(get())()
    setattr(providers, "_get_local_constants", lambda: nothing)  # noqa: B010
    providers.CONSTANTS_CACHE.cache.clear()
    try:
        yield
    finally:
        setattr(providers, "_get_local_constants", get)  # noqa: B010
        providers.CONSTANTS_CACHE.cache.clear()


def _settings(examples: int, phases: Sequence[Phase]) -> settings:
    return settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=phases,
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
