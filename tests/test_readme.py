"""The README is true: its tables are those of the result files, its Python runs."""

from __future__ import annotations

import ast
import csv
import re
from pathlib import Path

import pytest
import readme

from detectors.callbacks import CALLBACKS
from detectors.callbacks.lookout import Lookout, Settings
from sim.composed import Composed, observe

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_every_table_is_that_of_its_result_file():
    texts = [path.read_text() for path in readme.FILES]

    assert set(re.findall(r"<!-- (\w+) -->\n", "".join(texts))) - {"end"} == set(readme.TABLES)
    assert [readme.filled(text) for text in texts] == texts


def test_each_disagreement_with_an_eye_was_looked_at():
    found = readme.rows("real_logs_disagreements.csv")

    assert found
    assert [row["log"] for row in found if row["said"] == "not looked at"] == []


def test_the_reading_example_runs(tmp_path, monkeypatch, capsys):
    run = observe(Composed(overfit=0.4, overfit_at=80), [0])[0]
    with (tmp_path / "log.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", *run.series])
        writer.writerows(zip(run.epochs, *run.series.values(), strict=True))
    monkeypatch.chdir(tmp_path)

    exec(BLOCKS[0], {})

    printed = capsys.readouterr().out
    assert "Validation loss is lowest around epoch" in printed
    assert "'relative'" in printed


def test_the_example_of_a_loop_stops_where_it_overfits():
    run = observe(Composed(overfit=0.4, overfit_at=80), [0])[0]
    (block,) = [block for block in BLOCKS if "Lookout" in block]
    names = {"losses": list(zip(run["train_loss"], run["val_loss"], strict=True))}

    exec(block, names)

    assert names["best_epoch"] < names["epoch"] < len(run)
    assert names["seen"].stop


@pytest.mark.parametrize(("name", "file"), CALLBACKS.items())
def test_the_callbacks_are_constructed_with_settings_that_they_have(name, file):
    """Without a framework; the same calls train in tests/test_callbacks_in_frameworks.py where there is one."""
    source = ast.parse((ROOT / "detectors" / "callbacks" / f"{file}.py").read_text())
    (init,) = (node for node in ast.walk(source) if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    own = {argument.arg for argument in init.args.kwonlyargs}
    (call,) = re.findall(rf"{name}\([^`]*?\)", README)
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in ast.parse(call, mode="eval").body.keywords}

    assert given.keys() <= own | Settings.__annotations__.keys()
    assert Lookout(**{key: value for key, value in given.items() if key not in own})


@pytest.mark.slow
def test_the_detector_example_is_examined_and_fails_with_a_curve(capsys):
    names = {"__name__": "__main__"}  # dataclasses look their module up

    exec(BLOCKS[1], names)
    exec(BLOCKS[3], names)

    assert re.search(
        r"(?s)Patience fails \d+ of 43 checks.*finds_what_was_injected: .*Composed\(", capsys.readouterr().out
    )


def test_the_pictures_are_there():
    paths = re.findall(r"!\[.*?\]\((.*?)\)", README)

    assert len(paths) == 2
    assert {(ROOT / path).read_bytes()[:4] for path in paths} == {b"\x89PNG"}


@pytest.mark.parametrize("command", ["demo", "diagnose", "generate", "validate"])
def test_the_commands_of_the_readme_exist(command):
    text = (ROOT / "pyproject.toml").read_text() + (ROOT / "detectors" / "cli" / "__init__.py").read_text()

    assert f"curvesense {command}" in README
    assert command in text
