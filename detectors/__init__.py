"""Read training logs and say what is in their curves: light, without JAX.

>>> from detectors import diagnose, read
>>> print(diagnose(read("log.csv")[0]).reading.text)  # doctest: +SKIP
"""

import detectors.report.notebook  # noqa: F401  # how values show themselves
from detectors.catalogue import CATALOGUE, built_in, detect_many
from detectors.diagnosis import Diagnosis, Reading, diagnose, diagnose_many
from detectors.readers import Unreadable, read
from detectors.vocabulary import (
    BadRun,
    Detector,
    Event,
    Finding,
    Phenomenon,
    Run,
    Verdict,
    absent,
    found,
    undetermined,
)
from detectors.watch import Watch

__all__ = [
    "CATALOGUE",
    "BadRun",
    "Detector",
    "Diagnosis",
    "Event",
    "Finding",
    "Phenomenon",
    "Reading",
    "Run",
    "Unreadable",
    "Verdict",
    "Watch",
    "absent",
    "built_in",
    "detect_many",
    "diagnose",
    "diagnose_many",
    "found",
    "read",
    "undetermined",
]
