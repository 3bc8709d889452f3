"""Callbacks that watch a training while it runs: one framework a file, each a thin skin over `Lookout`.

Each says a finding once, in one line on the logger `curvesense` (to standard error, unless logging is set up
otherwise), and can stop the training or save the best epoch. None breaks the training that it watches: an error of its
own is logged once, and then it is quiet. The chance of a false line is at most `alpha` over the whole training, see
`detectors.watch`; lines that are called hints come from repeated looks and have no such bound, see `detectors.live`.

>>> from detectors.callbacks import KerasCallback  # doctest: +SKIP
>>> model.fit(..., callbacks=[KerasCallback(stop_on=["overfitting"])])  # doctest: +SKIP

A framework is imported with its own callback only. A new one is one file and one line in `CALLBACKS`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from detectors.callbacks.lookout import Lookout, Seen

__all__ = ["CALLBACKS", "Lookout", "Seen"]

CALLBACKS = {  # the class: its file, which is called like the framework
    "KerasCallback": "keras",
    "LightningCallback": "lightning",
    "TransformersCallback": "transformers",
}


def __getattr__(name: str) -> Any:
    if name not in CALLBACKS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {[*__all__, *CALLBACKS]}")
    framework = CALLBACKS[name]
    try:
        return getattr(import_module(f"{__name__}.{framework}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("detectors"):
            raise
        raise ImportError(f"{name} needs {error.name}: pip install {framework}") from error
