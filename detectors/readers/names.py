"""The table of names: what loggers call the series that detectors know.

A name is compared in snake case without a unit ("Valid Acc." is valid_acc, "val/loss" is val_loss, "ValidLossEpoch" is
valid_loss_epoch). It is a side and a measure, in either order, or a measure alone, which is the training one (Keras):

    train_loss, val_loss          SIDES x LOSSES      loss, "Train Loss", train/loss; val_loss, "Valid Loss", test_loss
    train_accuracy, val_accuracy  SIDES x ACCURACIES  acc, categorical_accuracy; "Valid Acc.", eval_top1
                                  SIDES x ERRORS      test_error(%), val_err: the accuracy is 1 - error
    learning_rate, train_loss_eval, val_ece,
    val_confidence (mean top probability)         OTHERS, and an accuracy of Ultralytics
    the axis                                          EPOCHS, else STEPS

Where two columns mean one series, that wins which comes first, in this order of importance: not the value of one step
(`_step`, `_batch`, `_iter`); the side (val, valid ... eval ... test); the value of an epoch (`_epoch`); accuracy before
error; the measure. A column with fewer than two numbers yields to one with more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = [
    "CANONICAL",
    "EPOCHS",
    "STEPS",
    "Meaning",
    "is_axis",
    "is_known",
    "is_measured",
    "lookup",
    "snake",
    "spellings",
]

CANONICAL = (
    *("train_loss", "val_loss", "train_accuracy", "val_accuracy"),
    *("learning_rate", "train_loss_eval", "val_ece", "val_confidence"),
)
SIDES = {
    "train": ("train", "training", "trn", "tr", ""),
    "val": ("val", "valid", "validation", "dev", "valid_0", "eval", "evaluation", "test", "testing", "te"),
}
LOSSES = (
    *("loss", "nll", "cross_entropy", "crossentropy", "xent"),
    *("logloss", "log_loss", "mlogloss", "multi_logloss", "binary_logloss"),  # XGBoost, LightGBM
)
ACCURACIES = (
    *("accuracy", "acc", "top1", "top_1", "acc1", "acc_1", "prec1", "prec_1"),
    *("top1_acc", "top_1_acc", "top1_accuracy", "top_1_accuracy"),
    *("categorical_accuracy", "sparse_categorical_accuracy", "binary_accuracy"),  # Keras
    *("multiclass_accuracy", "accuracy_top1", "accuracy_top_1"),  # torchmetrics, Ultralytics
)
ERRORS = (
    *("error", "err", "error_rate", "err_rate", "top1_error", "top_1_error", "top1_err", "top_1_err", "err1"),
    *("merror", "multi_error", "binary_error"),  # XGBoost, LightGBM
)
OTHERS = {
    "learning_rate": (
        *("learning_rate", "lr_epoch", "lr", "current_lr"),
        "alpha_epoch",  # gbaydin/hypergradient-descent
        *("epoch_learning_rate", "train_learning_rate", "train_lr"),  # Keras for TensorBoard, transformers, DeiT
        *("lr_sgd", "lr_adam", "lr_adamw", "lr_rmsprop"),  # Lightning, after the optimiser
        *("lr_sgd_pg1", "lr_adam_pg1", "lr_adamw_pg1", "lr_pg0", "x_lr0"),  # its parameter groups; Ultralytics
    ),
    "val_accuracy": ("metrics_accuracy_top1",),  # Ultralytics
    "train_loss_eval": ("train_loss_eval", "train_eval_loss", "eval_train_loss", "training_loss_eval"),
    "val_ece": ("val_ece", "valid_ece", "validation_ece", "eval_ece", "test_ece", "ece"),
    "val_confidence": (
        "val_confidence",
        "valid_confidence",
        "validation_confidence",
        "eval_confidence",
        "test_confidence",
    ),
}
EPOCHS = ("epoch", "ep", "epoch_number", "train_epoch")
STEPS = (
    *("step", "global_step", "steps", "iteration", "iterations", "iter", "it"),
    *("trainer_global_step", "train_global_step"),  # Lightning and transformers in Weights & Biases
)

MEASURES = {  # noun: measure, its place in the order, whether it is an error rate
    noun: (measure, place, nouns is ERRORS)
    for measure, nouns in (("loss", LOSSES), ("accuracy", ACCURACIES), ("accuracy", ERRORS))
    for place, noun in enumerate(nouns)
}
LONGEST = 100  # what is longer is no name but a line of text
LEVEL = re.compile(r"(?P<lead>epoch_)?(?P<core>.+?)(?P<tail>_epoch|_step|_batch|_iter)?")


@dataclass(frozen=True)
class Meaning:
    """What a logged name stands for; of two columns for one series the one with the smaller rank wins."""

    series: str
    rank: tuple[int, ...]
    error: bool = False  # an error rate, 1 - accuracy
    sided: bool = True  # whether it says if it is training or validation


def snake(name: str) -> str:
    """`name` in lower case with underscores and without a percent sign in brackets: "test_error(%)" is test_error."""
    return _snake(name[:LONGEST])


@lru_cache(maxsize=1 << 14)  # logs of many runs have the same names again and again
def _snake(name: str) -> str:
    name = name.replace("(%)", "").replace("[%]", "")
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[\W_]+", "_", name.lower()).strip("_")


def lookup(name: str) -> Meaning | None:
    """What the logged `name` stands for, None if the table does not know it or if it is an axis."""
    return _meaning(snake(name))


@lru_cache(maxsize=1 << 14)
def _meaning(spelled: str) -> Meaning | None:
    for series, spellings in OTHERS.items():
        if spelled in spellings:
            return Meaning(series, (spellings.index(spelled),))
    parts = LEVEL.fullmatch(spelled)
    if parts is None:
        return None
    of_epoch = bool(parts["lead"]) or parts["tail"] == "_epoch"
    of_step = bool(parts["tail"]) and not of_epoch
    for side, words in SIDES.items():
        for w, word in enumerate(words):
            core = parts["core"]
            noun = (core.removeprefix(word) if core.startswith(word) else core.removesuffix(word)).strip("_")
            if word and noun == core:
                continue  # this word is not in it
            if noun in MEASURES:
                measure, place, error = MEASURES[noun]
                rank = (int(of_step), w, int(not of_epoch), int(error), place)
                return Meaning(f"{side}_{measure}", rank, error, sided=bool(word))
    return None


def spellings() -> dict[str, tuple[str, ...]]:
    """For each series, and for the axis as "epoch", all names that the table knows, in snake case, the preferred first.

    Those of a single step (`loss_step`) and of an epoch (`loss_epoch`, `epoch_loss`) come on top of each.
    """
    nouns = {"loss": LOSSES, "accuracy": (*ACCURACIES, *ERRORS)}
    table = {
        f"{side}_{measure}": tuple(f"{word}_{noun}".strip("_") for word in words for noun in nouns[measure])
        for measure in nouns
        for side, words in SIDES.items()
    }
    for series, others in OTHERS.items():
        table[series] = (*table.get(series, ()), *others)
    return {**table, "epoch": (*EPOCHS, *STEPS)}


def is_axis(name: str) -> bool:
    """Whether `name` counts epochs or steps."""
    return snake(name) in EPOCHS or snake(name) in STEPS


def is_measured(name: str) -> bool:
    """Whether `name` is a series that training measures, in contrast to one that is set (the learning rate)."""
    meaning = lookup(name)
    return meaning is not None and meaning.series != "learning_rate"


def is_known(name: str) -> bool:
    """Whether the table knows `name`, as a series or as an axis."""
    return lookup(name) is not None or is_axis(name)
