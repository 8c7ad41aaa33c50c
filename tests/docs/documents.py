"""Reads a document as its reader would follow it: files to write, commands to run, what they print.

A fenced block whose first line is ``# name.yaml`` or ``# name.py`` is a file. A ``console`` block holds
commands after ``$`` and their output, in which a line ``...`` stands for lines left out and a line ``^C``
for the key. A comment ``<!-- exits with N -->`` before a block says that its last command fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FENCE = re.compile(
    r"^(?:<!-- exits with (?P<code>\d+) -->\n+)?```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
FILE = re.compile(r"# (?P<name>[\w/.-]+\.(?:yaml|py))\n")
#: A number as these commands print it.
NUMBER = re.compile(r"-?\d[\d,]*(?:[.:]\d+)*(?:e[+-]?\d+)?%?")
KEY = "^C"
GAP = "..."


@dataclass(frozen=True)
class File:
    """A file that the reader writes."""

    name: str
    text: str


@dataclass
class Command:
    """A command, the lines that it is said to print, and the exit code that it ends with."""

    line: str
    output: list[str] = field(default_factory=list)
    code: int = 0

    @property
    def interrupted(self) -> bool:
        """Whether the reader presses Ctrl-C while it runs."""
        return KEY in self.output


def steps(document: Path) -> Iterator[File | Command]:
    """What a document tells its reader to do, in order."""
    for block in FENCE.finditer(document.read_text(encoding="utf-8")):
        body = block["body"]
        named = FILE.match(body)
        if named:
            yield File(named["name"], body)
        elif block["language"] == "console":
            commands = list(_commands(body))
            if block["code"]:
                commands[-1].code = int(block["code"])
            yield from commands


def _commands(body: str) -> Iterator[Command]:
    command: Command | None = None
    for line in body.splitlines():
        if line.startswith("$ "):
            if command is not None:
                yield command
            command = Command(line.removeprefix("$ "))
        elif command is not None:
            command.output.append(line)
    if command is not None:
        yield command


def same(shown: list[str], printed: list[str]) -> bool:
    """Whether lines that a document shows are those that were printed, gaps aside."""
    if not shown:
        return not printed
    if shown[0] == GAP:
        return any(same(shown[1:], printed[i:]) for i in range(len(printed) + 1))
    return bool(printed) and shown[0] == printed[0] and same(shown[1:], printed[1:])


def without_numbers(lines: list[str]) -> list[str]:
    """The lines with every number replaced, and without those that depend on how fast the machine is."""
    return [NUMBER.sub("#", line) for line in lines if not line.endswith(("frames/s", " left")) and line != KEY]
