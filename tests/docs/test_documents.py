"""Every document does what it says: its files are written, its commands run, its output compared."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest

from rlrecipe.cli import commands
from tests.docs.documents import GAP, KEY, NUMBER, Command, File, same, steps, without_numbers
from tests.processes import environment

ROOT = Path(__file__).resolve().parents[2]
#: Those that promise it.
PROMISE = "run by the project's tests"
DOCUMENTS = (
    "README.md",
    *(
        f"docs/{file.name}"
        for file in sorted((ROOT / "docs").glob("*.md"))
        if PROMISE in file.read_text(encoding="utf-8")
    ),
)
#: Commands that install something or take the whole project.
SKIPPED = ("pip", "make")
#: Commands whose numbers are the same on every machine.
EXACT = ("rlrecipe validate", "rlrecipe list", "rlrecipe show")
#: Added where a document trains for longer than a test may.
SHORT = " -s trainer.total_frames=2048 -s evaluation.episodes=2"
#: The same for runs whose frames a document names: also where it says what came of them.
SHORTER = {"30_000": "8_000", "40_000": "10_000", "000000030720-0000004800": "000000008192-0000001280"}
#: How a run ended depends on how long it trained.
END = re.compile(r".*(: # frames, # updates in # s)")
#: Whether updates are compiled, too, and a package is made only once.
WHETHER = re.compile(r"^updates are (not )?compiled: ")
MADE = re.compile(r"compil(ing|ed) the ")
#: Where an installed component is declared.
ORIGIN = re.compile(r"^  \S*/(\w+\.py):\d+$")


def run(command: Command, folder: Path) -> tuple[int, list[str]]:
    """Exit code and lines of a command; Ctrl-C is pressed at its first progress."""
    line = command.line
    if line.startswith("rlrecipe run") and command.code == 0 and "trainer.total_frames" not in line:
        line += SHORT
    for long, short in SHORTER.items():
        line = line.replace(long, short)
    printed: list[str] = []
    with subprocess.Popen(
        ["bash", "-c", line if "&&" in line or "|" in line else f"exec {line}"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for text in process.stdout:
            printed.append(text.rstrip("\n"))
            if command.interrupted and KEY not in printed and "frames/s" in text:
                process.send_signal(signal.SIGINT)
                printed.append(KEY)
    while printed and not printed[-1]:
        printed.pop()
    return process.returncode, printed


def comparable(command: Command, lines: list[str]) -> list[str]:
    """The lines as far as they are the same on every machine."""
    if command.line.startswith(EXACT):
        return lines
    lines = [WHETHER.sub("updates: ", line) for line in lines if not MADE.match(line)]
    return [END.sub(r"\1", line) for line in without_numbers([ORIGIN.sub(r"  \1", line) for line in lines])]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_document_does_what_it_says(document: str, tmp_path: Path) -> None:
    done = 0
    for step in steps(ROOT / document):
        if isinstance(step, File):
            (tmp_path / step.name).write_text(step.text, encoding="utf-8")
            continue
        if step.line.split()[0] in SKIPPED:
            continue
        code, printed = run(step, tmp_path)
        assert code == step.code, f"$ {step.line}\n" + "\n".join(printed)
        if step.output:
            shown, found = comparable(step, step.output), comparable(step, printed)
            assert same(shown, found), f"$ {step.line}\nshown:\n" + "\n".join(shown) + "\nprinted:\n" + "\n".join(found)
        done += 1
    assert done


@pytest.mark.parametrize("document", [*DOCUMENTS, *(f"docs/{p.name}" for p in sorted((ROOT / "docs").glob("*.md")))])
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", text):
        file = (ROOT / document).parent / target if target else ROOT / document
        assert file.exists(), f"{document} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {_anchor(heading) for heading in headings}, f"{document} links to {target}#{anchor}"


def _anchor(heading: str) -> str:
    """A heading's anchor as GitHub makes it."""
    return "".join(c for c in heading.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def test_readme_names_every_command() -> None:
    named = set(re.findall(r"`(?:rlrecipe )?([a-z]+)(?: [^`]*)?`", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert set(commands()) <= named


def test_documents_name_no_place_of_a_machine() -> None:
    for document in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]:
        assert not re.search(r"(?<![\w.])/(home|root|work|tmp|Users)/", document.read_text(encoding="utf-8")), document


def test_a_document_is_read_as_files_and_commands(tmp_path: Path) -> None:
    document = tmp_path / "x.md"
    document.write_text(
        "```yaml\n# a.yaml\nenv: X\n```\n\n<!-- exits with 3 -->\n```console\n$ one\n$ two\nsaid\n```\n\n"
        "```python\nno = 'file'\n```\n"
    )
    assert list(steps(document)) == [
        File("a.yaml", "# a.yaml\nenv: X\n"),
        Command("one"),
        Command("two", ["said"], 3),
    ]


def test_output_agrees_around_gaps_only() -> None:
    assert same(["a", GAP, "d"], ["a", "b", "c", "d"])
    assert same(["a", GAP], ["a"])
    assert not same(["a", "d"], ["a", "b", "d"])
    assert not same(["a"], ["a", "b"])
    assert NUMBER.sub("#", "return -1.5e-3 over 1,000 in 0:12") == "return # over # in #"
