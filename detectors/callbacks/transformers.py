"""A callback for the Trainer of Hugging Face transformers."""

from __future__ import annotations

from statistics import fmean
from typing import Any, Unpack

from transformers import TrainerCallback

from detectors.callbacks.lookout import Lookout, Settings, harmless

__all__ = ["TransformersCallback"]


class TransformersCallback(TrainerCallback):
    """Watch `trainer.train`: at each evaluation its metrics, and the mean of the training losses since the last.

    Without evaluations every logged loss is taken as it comes. Epochs are those of the logs, parts of them too.
    `save_best=True` sets `control.should_save` at each evaluation that is the best so far; `save_total_limit` may
    delete that checkpoint again. The settings are those of `Lookout`; `stop_on` sets `control.should_training_stop`.
    A resumed training begins with the log of its checkpoint.
    """

    def __init__(self, *, save_best: bool = False, **settings: Unpack[Settings]) -> None:
        self.settings, self.save_best = settings, save_best
        self.lookout = Lookout(**settings)
        self._training = False
        self._losses: list[float] = []
        self._rate: float | None = None

    @harmless
    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.lookout, self._training = Lookout(**self.settings), True
        self._losses, self._rate = [], None
        if not state.is_world_process_zero:
            self.lookout.say = lambda line: None
        for logs in state.log_history:
            self._take(logs, args)

    @harmless
    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if not self._training or logs is None:
            return
        best, stop = self._take({"epoch": state.epoch, **logs}, args)
        if stop:
            control.should_training_stop = True
        if best and self.save_best:
            control.should_save = True

    @harmless
    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._training = False
        self.lookout.finish(saving=self.save_best)

    def _take(self, logs: dict[str, Any], args: Any) -> tuple[bool, bool]:
        """(best, stop) after one entry of the log."""
        values = {name: value for name, value in logs.items() if name not in ("epoch", "step")}
        if "train_runtime" in values:  # the summary at the end, whose train_loss is the mean of the whole training
            return False, False
        self._rate = values.get("learning_rate", self._rate)
        if not any(name.startswith("eval_") for name in values) and _evaluates(args):
            self._losses += [values["loss"]] if "loss" in values else []
            return False, False
        if self._losses:
            values["loss"] = fmean(self._losses)
        self._losses = []
        seen = self.lookout(logs.get("epoch"), **{"learning_rate": self._rate, **values})
        return seen.best, seen.stop


def _evaluates(args: Any) -> bool:
    strategy = getattr(args, "eval_strategy", "no")
    return getattr(strategy, "value", strategy) != "no"
