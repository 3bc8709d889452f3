"""How the parts hang together: who may import whom, who is registered, and that nobody's machine is in the sources."""

from __future__ import annotations

import ast
import dataclasses
import graphlib
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import detectors
import detectors.callbacks
import detectors.readers
from detectors.callbacks import CALLBACKS
from detectors.catalogue import CATALOGUE
from detectors.readers import FORMATS
from sim.catalogue import MODELS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "detectors" / "docs"  # how the pages are built, no part of the package
SOURCES = sorted(path for path in (ROOT / "detectors").rglob("*.py") if DOCS not in path.parents)


def module_name(path: Path) -> str:
    """The dotted name of a source file: detectors/readers/__init__.py is detectors.readers."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = [module_name(path) for path in SOURCES]
FRAMEWORKS = [f"detectors.callbacks.{name}" for name in CALLBACKS.values()]  # a user of the framework imports these


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a file imports, wherever in it, submodules of packages included."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from (
                f"{source}.{alias.name}" if f"{source}.{alias.name}" in MODULES else source for alias in node.names
            )


def detector_classes(module: ModuleType) -> list[type]:
    """The frozen dataclasses with a `detect` that a module defines."""
    own = [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__]
    return [c for c in own if dataclasses.is_dataclass(c) and c.__dataclass_params__.frozen and hasattr(c, "detect")]


def modules_of(package: ModuleType) -> list[ModuleType]:
    names = [info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("__")]
    return [importlib.import_module(f"{package.__name__}.{name}") for name in names]


DETECTORS = [module for module in modules_of(detectors) if detector_classes(module)]
READERS = [m for m in modules_of(detectors.readers) if all(hasattr(m, part) for part in ("NAME", "sniff", "parse"))]

detector_file = pytest.mark.parametrize("module", DETECTORS, ids=lambda m: m.__name__)
reader_file = pytest.mark.parametrize("module", READERS, ids=lambda m: m.__name__)


def run_python(code: str) -> str:
    """What `code` prints in a Python of its own that finds the packages."""
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# who imports whom


def test_importing_all_of_detectors_loads_neither_jax_nor_the_simulator_nor_matplotlib():
    code = f"""
import importlib
for name in {sorted(set(MODULES) - set(FRAMEWORKS))}: importlib.import_module(name)
print(sorted({{name.split(".")[0] for name in sys.modules}} & {{"jax", "jaxlib", "sim", "matplotlib"}}))
"""

    assert run_python(code) == "[]"


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_no_module_of_detectors_imports_the_simulator_or_jax(path):
    assert {name.split(".")[0] for name in imported(path)} & {"sim", "jax", "jaxlib"} == set()


def test_no_modules_of_detectors_import_each_other_in_a_circle():
    packages = {module_name(path) for path in SOURCES if path.name == "__init__.py"}
    graph = {module_name(path): set(imported(path)) & set(MODULES) - packages for path in SOURCES}

    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def source(name: str) -> Path:
    """The file of a module in this checkout, wherever the installed package lies."""
    return ROOT.joinpath(*name.split(".")).with_suffix(".py")


@detector_file
def test_a_detector_imports_no_other_detector(module):
    siblings = {m.__name__ for m in DETECTORS} - {module.__name__}

    assert siblings & set(imported(source(module.__name__))) == set()


def test_the_commands_of_the_simulator_are_parsed_without_jax():
    code = """
import argparse
sys.modules["jax"] = None  # importing it is an error from here on
from sim.commands import demo, generate
for command in (demo, generate): command(argparse.ArgumentParser())
print(sorted(name for name in sys.modules if name.startswith(("jax", "sim."))))
"""

    assert run_python(code) == "['jax', 'sim.commands']"


# who is registered


def test_there_is_a_file_for_every_entry_of_the_catalogue():
    assert sorted(module.__name__ for module in DETECTORS) == sorted(f"detectors.{name}" for name in CATALOGUE)


@detector_file
def test_a_detector_is_registered_under_its_file_s_own_name_which_is_its_phenomenon(module):
    (detector,) = detector_classes(module)
    name = module.__name__.rpartition(".")[2]

    assert CATALOGUE.get(name) is detector
    assert detector.phenomenon == name


@detector_file
def test_the_class_of_a_detector_is_called_like_its_file(module):
    (detector,) = detector_classes(module)

    assert detector.__name__ == module.__name__.rpartition(".")[2].title().replace("_", "")


@detector_file
def test_a_detector_says_how_it_works_and_where_it_is_blind(module):
    assert [part for part in ("Method: ", "Blind spots: ") if f"\n{part}" not in module.__doc__] == []


@detector_file
def test_a_detector_takes_only_keywords_and_alpha_is_one_of_them(module):
    (detector,) = detector_classes(module)
    settings = dataclasses.fields(detector)

    assert "alpha" in {setting.name for setting in settings}
    assert all(setting.kw_only for setting in settings)


@reader_file
def test_a_format_is_registered_under_its_file_s_own_name(module):
    assert module in FORMATS
    assert module.__name__ == f"detectors.readers.{module.NAME}"


def test_every_registered_format_is_a_file_with_its_parts():
    assert set(FORMATS) == set(READERS)


def test_every_callback_is_a_file_called_like_its_framework_and_the_other_way_round():
    files = {path.stem for path in (ROOT / "detectors" / "callbacks").glob("*.py")}

    assert sorted(CALLBACKS.values()) == sorted(files - {"__init__", "lookout"})


@pytest.mark.parametrize("framework", CALLBACKS.values())
def test_a_callback_imports_its_own_framework_and_no_other_callback(framework):
    path = ROOT / "detectors" / "callbacks" / f"{framework}.py"

    others = (set(CALLBACKS.values()) | {"torch", "jax", "tensorflow"}) - {framework}
    assert {name.split(".")[0] for name in imported(path)} & others == set()
    assert set(imported(path)) & set(FRAMEWORKS) == set()


def test_every_synthetic_model_is_registered_under_its_own_name():
    defined = {
        value.name: value
        for path in sorted((ROOT / "sim").rglob("*.py"))
        if (value := getattr(importlib.import_module(module_name(path)), "MODEL", None)) is not None
    }

    assert defined == MODELS


# the project speaks only of itself


def test_no_file_of_the_project_names_a_place_on_somebody_s_machine():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    if listed.returncode:
        pytest.skip("SOURCES NOT SEARCHED: this is no git checkout, so nobody can say which files belong to it")
    places = [f"/{folder}/".encode() for folder in ("work", "tmp")]  # in parts, for this file is searched as well
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    contents = {path: path.read_bytes() for path in files if path.is_file()}

    assert Path(__file__) in contents
    assert [str(path) for path, content in contents.items() if any(place in content for place in places)] == []
