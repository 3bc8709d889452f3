"""The wheel holds what the packages need and nothing else: tables, assets, type marks, no documentation."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("detectors", "sim")
DATA = (".csv", ".js", ".css", ".html", ".typed", ".toml", ".LICENSE")  # beside Python, what a package reads


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE", *PACKAGES):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "out", "."]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if "No matching distribution found for setuptools" in built.stderr:
        pytest.skip("WHEEL NOT BUILT: pip reaches no index to take setuptools from")
    assert built.returncode == 0, built.stderr
    (path,) = (folder / "out").glob("*.whl")
    return zipfile.ZipFile(path)


def needed(suffixes: tuple[str, ...]) -> set[str]:
    """The files of the packages with these suffixes, but for those of the documentation."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.suffix in suffixes)
    names = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    return {name for name in names if not name.startswith("detectors/docs/")}


@pytest.mark.slow
def test_every_module_and_everything_that_a_package_reads_is_in_the_wheel(wheel):
    assert needed((".py", *DATA)) - set(wheel.namelist()) == set()


@pytest.mark.slow
def test_the_wheel_holds_no_documentation_no_tests_and_is_small(wheel):
    inside = {name.split("/")[0] for name in wheel.namelist()}

    assert {name for name in inside if not name.endswith(".dist-info")} == set(PACKAGES)
    assert [name for name in wheel.namelist() if "docs/" in name] == []
    assert sum(item.compress_size for item in wheel.infolist()) < 2e6


@pytest.mark.slow
def test_the_wheel_says_its_commands_its_plugin_and_its_licences(wheel):
    (entries,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    text = wheel.read(entries).decode()
    licences = [name.rpartition("/")[2] for name in wheel.namelist() if ".dist-info/licenses/" in name]

    assert all(f"[{group}]" in text for group in ("console_scripts", "curvesense.commands", "pytest11"))
    assert sorted(licences) == ["LICENSE", "uPlot.LICENSE"]
