import hashlib
from pathlib import Path

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


def test_equal_mappings_have_equal_bytes() -> None:
    assert canonical({"b": 1, "a": [1.5, None]}) == canonical({"a": [1.5, None], "b": 1})


def test_the_digest_is_sha256() -> None:
    assert digest(b"x") == hashlib.sha256(b"x").hexdigest()
