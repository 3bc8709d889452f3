"""Every check of the exam, in the order of asking. A new check is a function in its file and a line there."""

from __future__ import annotations

from sim.exam import bad_input, contract, metamorphic, promises, recovery, silence
from sim.exam.check import Check

__all__ = ["CHECKS"]

CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        *contract.CHECKS,
        *bad_input.CHECKS,
        *metamorphic.CHECKS,
        *recovery.CHECKS,
        *silence.CHECKS,
        *promises.CHECKS,
    )
}
