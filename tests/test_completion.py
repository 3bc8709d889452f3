"""Shell completion, in the shells themselves."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from detectors.catalogue import CATALOGUE
from detectors.cli import main

pytest.importorskip("shtab", reason="COMPLETION NOT TESTED: shtab is missing, install the extra [completion]")


def script(shell: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The file that `curvesense completion SHELL` makes."""
    assert main(["completion", shell]) == 0
    path = folder / f"_curvesense.{shell}"
    path.write_text(capsys.readouterr().out)
    return path


def needs(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"COMPLETION NOT TESTED in {shell}: it is not installed")
    return found


def completed(words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """What bash offers for the last of these words."""
    line = " ".join(words)
    program = f"""
source {script("bash", folder, capsys)}
COMP_WORDS=({" ".join(f"'{w}'" for w in words)}); COMP_CWORD={len(words) - 1}
COMP_LINE='{line}'; COMP_POINT={len(line)}; COMPREPLY=()
$(complete -p curvesense | sed 's/.*-F \\([^ ]*\\).*/\\1/') curvesense '{words[-1]}' '{words[-2]}'
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run([needs("bash"), "-c", program], cwd=folder, capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    return set(done.stdout.split())


def typed(command: list[str], keys: list[str], folder: Path, until: str) -> str:
    """What a terminal shows after these keys, in a shell that a person might sit at."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "PS1": "> ", "ZDOTDIR": str(folder)}
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(command[0], command, environment)
    shown = b""
    try:
        for key in keys:
            os.write(terminal, key.encode())
            shown += drained(terminal, until.encode() if key is keys[-1] else b"")
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    return shown.decode(errors="replace")


def drained(terminal: int, until: bytes) -> bytes:
    shown, patience = b"", time.monotonic() + (10 if until else 1)
    while time.monotonic() < patience and (not until or until not in shown):
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 4096)
    return shown


def test_bash_completes_the_commands(tmp_path, capsys):
    assert completed(["curvesense", ""], tmp_path, capsys) >= {"diagnose", "completion", "generate", "validate", "demo"}


def test_bash_completes_an_option(tmp_path, capsys):
    assert completed(["curvesense", "diagnose", "--fa"], tmp_path, capsys) == {"--fail-on"}


@pytest.mark.parametrize("option", ["--fail-on", "--detectors", "--skip"])
def test_bash_completes_the_names_of_detectors(tmp_path, capsys, option):
    assert completed(["curvesense", "diagnose", option, ""], tmp_path, capsys) == set(CATALOGUE)


def test_bash_completes_the_values_of_a_choice(tmp_path, capsys):
    assert completed(["curvesense", "diagnose", "--color", "a"], tmp_path, capsys) == {"auto", "always"}


def test_bash_completes_the_names_of_logs(tmp_path, capsys):
    (tmp_path / "my_log.csv").touch()
    (tmp_path / "my_runs").mkdir()

    assert completed(["curvesense", "diagnose", "my_"], tmp_path, capsys) >= {"my_log.csv"}


# JAX warns of every fork; this one becomes a shell at once
@pytest.mark.filterwarnings("ignore:os.fork", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_zsh_completes_an_option_as_it_is_typed(tmp_path, capsys):
    zsh = needs("zsh")
    (tmp_path / "functions").mkdir()
    shutil.copy(script("zsh", tmp_path, capsys), tmp_path / "functions" / "_curvesense")
    setup = f"fpath=({tmp_path}/functions $fpath); autoload -Uz compinit; compinit -u -D\n"

    shown = typed([zsh, "-f", "-i"], [setup, "curvesense diagnose --fail-o\t"], tmp_path, until="--fail-on")

    assert "curvesense diagnose --fail-on" in shown.replace("\x1b[K", "")


def test_tcsh_takes_the_script(tmp_path, capsys):
    path = script("tcsh", tmp_path, capsys)

    done = subprocess.run(
        [needs("tcsh"), "-f", "-c", f"source {path}; complete curvesense"], capture_output=True, text=True, timeout=30
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "diagnose" in done.stdout


def test_another_shell_is_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["completion", "fish"])

    assert caught.value.code == 2
    assert "zsh" in capsys.readouterr().err


def test_without_shtab_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)

    assert main(["completion", "bash"]) == 2
    assert capsys.readouterr().err == "curvesense: completion needs shtab: pip install 'curvesense[completion]'\n"
