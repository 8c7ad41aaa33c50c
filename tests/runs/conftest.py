from pathlib import Path

import pytest

from tests.cli.command import Commands


@pytest.fixture
def rlrecipe(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The command line, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    return Commands(capsys, tmp_path)
