"""A callback for Keras 3, on any of its backends."""

from __future__ import annotations

from typing import Any, Unpack

import keras

from detectors.callbacks.lookout import Lookout, Settings, harmless

__all__ = ["KerasCallback"]


class KerasCallback(keras.callbacks.Callback):
    """Watch `model.fit`, which counts epochs from 1 on the screen; so does this.

    `save_best`: a path ending in .keras for `model.save`, or in .weights.h5 for `model.save_weights`; it is written
    over at each epoch that is the best so far. The settings are those of `Lookout`; `stop_on` sets
    `model.stop_training`. The learning rate is the logged one (`ReduceLROnPlateau` logs it), else the optimiser's at
    the end of the epoch: put schedulers that act there behind this callback. Each `fit` is a run of its own, unless
    `load_state_dict` was given before it what `state_dict` said: Keras keeps nothing of a callback, so a training that
    is to be resumed saves that (it is plain JSON) beside its checkpoint.
    """

    def __init__(self, *, save_best: str | None = None, **settings: Unpack[Settings]) -> None:
        super().__init__()
        if save_best is not None and not str(save_best).endswith((".keras", ".weights.h5")):
            raise ValueError(f"save_best={save_best!r}: allowed is a path that ends in .keras or .weights.h5")
        self.settings, self.save_best = settings, save_best
        self.lookout = Lookout(**settings)
        self._before: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """What it has seen so far, as JSON can hold it."""
        return self.lookout.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next `fit` go on from there."""
        self._before = state

    @harmless
    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.lookout = Lookout(**self.settings)
        if self._before is not None:
            self.lookout.load_state_dict(self._before)
            self._before = None

    @harmless
    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        values = dict(logs or {})
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is not None and not {"learning_rate", "lr"} & values.keys():
            values["learning_rate"] = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        seen = self.lookout(epoch + 1, **values)
        if seen.stop:
            self.model.stop_training = True
        if seen.best and self.save_best is not None:
            save = self.model.save if str(self.save_best).endswith(".keras") else self.model.save_weights
            save(self.save_best)

    @harmless
    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.lookout.finish(saving=self.save_best is not None)
