"""What bits depend on (processor, backend, libraries), and where compiled programs are kept.

The same program gives the same bits on machines of one type: one instruction set, one backend, the same versions of the
libraries. AVX and AVX2 differ in the last bit, for instance, because only the second has a fused multiply-add.
"""

from __future__ import annotations

import os
import platform
import stat
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["cache_folder", "keep_programs", "libraries", "machine"]

_INSTRUCTIONS = ("avx512f", "avx2", "avx", "asimd", "sse4_2")  # the first that a processor has names its type


def machine() -> dict[str, str]:
    """The type of machine that JAX computes on here."""
    import jax

    device = jax.devices()[0]
    return {"processor": _processor(), "backend": device.platform, "device": device.device_kind}


def libraries() -> dict[str, str]:
    """The versions that bits depend on."""
    found = {}
    for name in ("curvesense", "jax", "jaxlib", "numpy", "scipy", "pyarrow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def cache_folder(asked: str | None = None) -> Path:
    """Where compiled programs are kept: `asked`, else CURVESENSE_CACHE, else below the user's cache folder."""
    chosen = asked or os.environ.get("CURVESENSE_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "curvesense" / "programs"


def keep_programs(folder: Path | None) -> None:
    """Let JAX keep the programs that it compiles in `folder`, a folder a type of processor; None changes nothing.

    Whoever can write there can make us run what they like, so OSError refuses a folder that is open to others.
    """
    if folder is None:
        return
    import jax

    folder = folder / _processor()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    open_to_others = bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or open_to_others):
        raise OSError(f"{folder} can be written by others, and programs are run from it; choose --cache DIR")
    settings: dict[str, object] = {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    for name, value in settings.items():
        jax.config.update(name, value)  # type: ignore[no-untyped-call]


def _processor() -> str:
    flags: set[str] = set()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                flags = set(line.split(":", 1)[1].split())
                break
    except OSError:
        pass
    best = next((name for name in _INSTRUCTIONS if name in flags), "")
    return "-".join(filter(None, (platform.machine(), best)))
