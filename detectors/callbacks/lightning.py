"""A callback for PyTorch Lightning, as the package `lightning` or the older `pytorch_lightning`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Unpack

from detectors.callbacks.lookout import Lookout, Seen, Settings, harmless
from detectors.readers import names

if TYPE_CHECKING:
    from lightning.pytorch import Callback
elif "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
    from pytorch_lightning import Callback  # what the script around it uses
else:
    try:
        from lightning.pytorch import Callback
    except ModuleNotFoundError:
        from pytorch_lightning import Callback

__all__ = ["LightningCallback"]


class LightningCallback(Callback):
    """Watch `trainer.fit`: once a training epoch, numbered from 0 as Lightning does, the metrics that it has by then.

    `save_best`: a path for `trainer.save_checkpoint`, written over at each epoch that is the best so far. The settings
    are those of `Lookout`; `stop_on` sets `trainer.should_stop`. The learning rate is that of the first parameter group
    as the epoch begins. Values of validation count only in epochs that validated. Several processes follow the first.
    A checkpoint holds what was seen, and a training that is resumed from it goes on with that.
    """

    def __init__(self, *, save_best: str | None = None, **settings: Unpack[Settings]) -> None:
        super().__init__()
        self.settings, self.save_best = settings, save_best
        self.lookout = Lookout(**settings)
        self._rate: float | None = None
        self._validated = False
        self._before: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        return self.lookout.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before = state_dict  # it comes before on_fit_start

    @harmless
    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        self.lookout = Lookout(**self.settings)
        if self._before is not None:
            self.lookout.load_state_dict(self._before)
            self._before = None

    @harmless
    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self._validated = False
        self._rate = next((group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups), None)

    @harmless
    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        self._validated = True

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        seen = self._see(trainer) or Seen()
        best, stop = seen.best, seen.stop
        if trainer.world_size > 1:  # all save and stop together, or they would wait for each other
            best, stop = trainer.strategy.broadcast((best, stop), src=0)
        self._act(trainer, best, stop)

    @harmless
    def _see(self, trainer: Any) -> Seen:
        values = {"learning_rate": self._rate, **trainer.callback_metrics}
        if not self._validated:  # what is there of validation is left over from an earlier epoch
            values = {name: value for name, value in values.items() if not _of_validation(name)}
        return self.lookout(trainer.current_epoch, **values) if trainer.is_global_zero else Seen()

    @harmless
    def _act(self, trainer: Any, best: bool, stop: bool) -> None:
        if stop:
            trainer.should_stop = True
        if best and self.save_best is not None:
            trainer.save_checkpoint(self.save_best)

    @harmless
    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.is_global_zero:
            self.lookout.finish(saving=self.save_best is not None)


def _of_validation(name: str) -> bool:
    meaning = names.lookup(name)
    return meaning is not None and meaning.series.startswith("val_")
