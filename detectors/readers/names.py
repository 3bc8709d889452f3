"""The table of names: what loggers call the series that detectors know.

A name is compared in snake case without a unit ("Valid Acc." is valid_acc, "val/loss" is val_loss, "ValidLossEpoch" is
valid_loss_epoch). It is a side and a measure, in either order, or a measure alone, which is the training one (Keras):

    train_loss, val_loss          SIDES x LOSSES      loss, "Train Loss", train/loss; val_loss, "Valid Loss", test_loss
    train_accuracy, val_accuracy  SIDES x ACCURACIES  acc, categorical_accuracy; "Valid Acc.", eval_top1
                                  SIDES x ERRORS      test_error(%), val_err: the accuracy is 1 - error
    learning_rate, train_loss_eval, val_ece           OTHERS
    the axis                                          EPOCHS, else STEPS

Where two columns mean one series, that wins which comes first, in this order of importance: not the value of one step
(`_step`, `_batch`, `_iter`); the side (val, valid ... eval ... test); the value of an epoch (`_epoch`); accuracy before
error; the measure. A column with fewer than two numbers yields to one with more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["CANONICAL", "EPOCHS", "STEPS", "Meaning", "is_axis", "is_known", "is_measured", "lookup", "snake"]

CANONICAL = (
    *("train_loss", "val_loss", "train_accuracy", "val_accuracy"),
    *("learning_rate", "train_loss_eval", "val_ece"),
)
SIDES = {
    "train": ("train", "training", "trn", "tr", ""),
    "val": ("val", "valid", "validation", "dev", "eval", "evaluation", "test", "testing", "te"),
}
LOSSES = ("loss", "nll", "cross_entropy", "crossentropy", "xent")
ACCURACIES = (
    *("accuracy", "acc", "top1", "top_1", "acc1", "acc_1", "prec1", "prec_1"),
    *("top1_acc", "top_1_acc", "top1_accuracy", "top_1_accuracy"),
    *("categorical_accuracy", "sparse_categorical_accuracy", "binary_accuracy"),
)
ERRORS = ("error", "err", "error_rate", "err_rate", "top1_error", "top_1_error", "top1_err", "top_1_err", "err1")
OTHERS = {
    "learning_rate": (
        *("learning_rate", "lr_epoch", "lr", "current_lr"),
        "alpha_epoch",  # gbaydin/hypergradient-descent
        *("lr_sgd", "lr_adam", "lr_adamw", "lr_pg0"),  # the optimisers of Lightning, a parameter group of YOLO
    ),
    "train_loss_eval": ("train_loss_eval", "train_eval_loss", "eval_train_loss", "training_loss_eval"),
    "val_ece": ("val_ece", "valid_ece", "validation_ece", "eval_ece", "test_ece", "ece"),
}
EPOCHS = ("epoch", "ep", "epoch_number")
STEPS = ("step", "global_step", "steps", "iteration", "iterations", "iter", "it", "trainer_global_step")

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
    name = name[:LONGEST].replace("(%)", "").replace("[%]", "")
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[\W_]+", "_", name.lower()).strip("_")


def lookup(name: str) -> Meaning | None:
    """What the logged `name` stands for, None if the table does not know it or if it is an axis."""
    spelled = snake(name)
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
            noun = parts["core"].removeprefix(word).removesuffix(word).strip("_")
            if word and noun == parts["core"]:
                continue  # this word is not in it
            if noun in MEASURES:
                measure, place, error = MEASURES[noun]
                rank = (int(of_step), w, int(not of_epoch), int(error), place)
                return Meaning(f"{side}_{measure}", rank, error, sided=bool(word))
    return None


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
