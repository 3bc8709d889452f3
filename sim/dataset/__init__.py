"""Data sets of labelled runs: Parquet shards, a manifest with their checksums, and a card that explains the columns.

write("runs", tier="composed", runs=10_000)          # or: curvesense generate --tier composed --runs 10000 --out runs
for labelled in Dataset("runs"): ...
"""

from __future__ import annotations

from sim.dataset.making import produce, workers_for, write
from sim.dataset.planning import Plan, plan
from sim.dataset.read import Dataset, open_dataset

__all__ = ["Dataset", "Plan", "open_dataset", "plan", "produce", "workers_for", "write"]
