"""Lets `import torchvision` succeed beside the CPU build of PyTorch; to be imported before all that needs it.

The wheels of torchvision are built for CUDA. Beside the CPU build their compiled operators do not load, and torchvision
fails when it describes two that are not there. Here these two are declared, in which case `declared` is true: they can
be described and not called.
"""

from __future__ import annotations

import torch

declared = False
try:
    import torchvision
except ImportError:  # not installed: what can do without it will
    pass
except RuntimeError:
    declared = True
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision  # noqa: F401
