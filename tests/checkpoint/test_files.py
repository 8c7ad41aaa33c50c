import hashlib
import os
import stat
from pathlib import Path

import pytest

from rlrecipe.checkpoint.files import canonical, digest, replace, write_durably


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "latest"
    for content in (b"one", b"two"):
        replace(file, content)
        assert file.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["latest"]


def test_a_file_is_written(tmp_path: Path) -> None:
    write_durably(tmp_path / "x", b"content")
    assert (tmp_path / "x").read_bytes() == b"content"


def test_content_is_durable_before_its_name_and_the_name_before_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    sync, rename = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        sync(descriptor)
        order.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")

    def renamed(self: Path, target: Path) -> Path:
        order.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    replace(tmp_path / "latest", b"content")
    assert order == ["file", "rename", "folder"]


def test_equal_mappings_have_equal_bytes() -> None:
    assert canonical({"b": 1, "a": [1.5, None]}) == canonical({"a": [1.5, None], "b": 1})


def test_the_digest_is_sha256() -> None:
    assert digest(b"x") == hashlib.sha256(b"x").hexdigest()
