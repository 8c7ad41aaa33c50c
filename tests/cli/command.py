"""Commands called in this process, and what they print."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlrecipe.cli import main


@dataclass(frozen=True)
class Answer:
    """Exit code and both outputs of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document; nothing else may be on it."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Commands:
    """Runs commands in a folder of its own."""

    capture: pytest.CaptureFixture[str]
    folder: Path

    def __call__(self, *arguments: str | Path) -> Answer:
        self.capture.readouterr()
        code = main([str(argument) for argument in arguments])
        printed = self.capture.readouterr()
        return Answer(code, printed.out, printed.err)

    def recipe(self, content: Any, name: str = "recipe.yaml") -> Path:
        """A recipe's file in the folder."""
        file = self.folder / name
        file.write_text(yaml.safe_dump(content))
        return file
