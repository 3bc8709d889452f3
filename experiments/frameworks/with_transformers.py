"""transformers' Trainer: `trainer_state.json` with the training loss by logging step and an evaluation each epoch.

A BERT of one tiny layer, made from a configuration, learns to say which half of the vocabulary a sentence is from.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import vision  # noqa: F401

# isort: split
import numpy as np
import torch
from fixture import make, run
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

EPOCHS, STEPS, LOGGED = 8, 6, 2  # epochs, minibatches an epoch, minibatches a logged loss
BATCH, LENGTH, VOCABULARY = 16, 8, 40


class Sentences(torch.utils.data.Dataset):
    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.labels = rng.integers(2, size=size)
        half = np.where(rng.random((size, LENGTH)) < 0.65, self.labels[:, None], 1 - self.labels[:, None])
        self.words = half * VOCABULARY // 2 + rng.integers(VOCABULARY // 2, size=(size, LENGTH))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        words = torch.from_numpy(self.words[i])
        return {"input_ids": words, "attention_mask": torch.ones_like(words), "labels": torch.tensor(self.labels[i])}


def accuracy(prediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


def script(out: Path) -> dict[str, list[dict[str, object]]]:
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=LENGTH,
    )
    arguments = TrainingArguments(
        output_dir="checkpoints",
        num_train_epochs=EPOCHS,
        per_device_train_batch_size=BATCH,
        learning_rate=5e-3,
        logging_steps=LOGGED,
        eval_strategy="epoch",
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        seed=0,
    )
    trainer = Trainer(
        BertForSequenceClassification(config),
        arguments,
        train_dataset=Sentences(rng, STEPS * BATCH),
        eval_dataset=Sentences(rng, STEPS * BATCH),
        compute_metrics=accuracy,
    )
    trainer.train()
    trainer.state.save_to_json("trainer_state.json")
    shutil.rmtree("checkpoints", ignore_errors=True)
    return {"trainer_state.json": [by_epoch(trainer.state.log_history)]}


def by_epoch(history: list[dict[str, float]]) -> dict[str, object]:
    """What the Trainer holds in memory; the training loss of an epoch is the mean of the losses logged in it."""
    evaluations = [row for row in history if "eval_loss" in row]
    steps = np.array([[row["loss"], row["learning_rate"]] for row in history if "loss" in row])
    steps = steps.reshape(EPOCHS, STEPS // LOGGED, 2)
    series = {
        "train_loss": steps[:, :, 0].mean(1).tolist(),
        "val_loss": [row["eval_loss"] for row in evaluations],
        "val_accuracy": [row["eval_accuracy"] for row in evaluations],
        "learning_rate": steps[:, -1, 1].tolist(),
    }
    return run(range(1, EPOCHS + 1), series)


if __name__ == "__main__":
    make(script, ("torch", "transformers"))
