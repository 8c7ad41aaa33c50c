"""Files of a run are opened by ``rlrecipe.system.files`` alone: no link is followed, UTF-8 is written in any locale."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import rlrecipe

ROOT = Path(rlrecipe.__file__).parent
#: What opens, reads or writes a file by itself, as a method or a function.
OPENING = frozenset(
    ["open", "fdopen", "write_text", "write_bytes", "read_text", "read_bytes", "copyfile", "copy2", "copytree", "touch"]
)
#: Calls of these names that open no file of a run.
ALLOWED = {
    ("hooks/lr_scheduler_hook.py", "read_text"): "reads torch's own source",
    ("checkpoint/backends/dcp.py", "read_bytes"): "in a temporary folder of its own",
    ("runs/session.py", "open"): "Recorder.open starts loggers",
    ("runs/recorder.py", "open"): "likewise",
    ("runs/provenance.py", "read_text"): "of an installed package",
    ("runs/profile.py", "read_text"): "reads what the kernel says of this process",
    ("runs/imports.py", "read_bytes"): "reads the user's own files, too",
}
FOLDERS = ("runs", "checkpoint", "loggers", "recorders", "hooks", "trainers")
FILES = [file for name in FOLDERS for file in sorted((ROOT / name).rglob("*.py"))]
FILES.append(ROOT / "cli/status.py")


def opening(source: str) -> Iterator[str]:
    """Names of calls that open files."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = node.func
            name = (
                called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
            )
            if name in OPENING:
                yield name


def test_files_of_a_run_are_opened_in_one_place() -> None:
    found = {(file.relative_to(ROOT).as_posix(), name) for file in FILES for name in opening(file.read_text("utf-8"))}
    assert found - ALLOWED.keys() == set(), "open it with rlrecipe.system.files"
    assert ALLOWED.keys() - found == set(), "allowed for nothing"


@pytest.mark.parametrize(
    "source", ["open('x')", "path.open()", "os.open(p, 0)", "p.write_text('x')", "shutil.copyfile(a, b)", "io.open(p)"]
)
def test_what_opens_a_file_is_seen(source: str) -> None:
    assert len(list(opening(source))) == 1
