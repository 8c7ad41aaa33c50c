import hashlib
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from rlrecipe.checkpoint.verified import canonical, digest
from rlrecipe.system import files
from rlrecipe.system.files import UnsafeFileError, replace, write_durably


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


# -- what leads elsewhere


def special(path: Path, kind: str) -> None:
    """Put a link, pipe, socket or device in place of a file."""
    path.unlink(missing_ok=True)
    if kind == "link":
        outside = path.parent.parent / f"outside-{path.name}"
        outside.write_text("the user's own\n")
        path.symlink_to(outside)
    elif kind == "dangling":
        path.symlink_to(path.parent.parent / "outside-not-there")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as taken:
            taken.bind(os.path.relpath(path))


KINDS = {"link": "is a link to", "dangling": "is a link to", "pipe": "named pipe", "socket": "socket"}
CALLS: dict[str, Callable[[Path], object]] = {
    "read": files.read,
    "append": lambda path: files.append(path, "more"),
    "write": lambda path: files.write(path, "other"),
    "overwrite": lambda path: files.overwrite(path, "other"),
    "write_durably": lambda path: files.write_durably(path, b"other"),
    "copy from": lambda path: files.copy(path, path.with_name("copy")),
    "copy to": lambda path: files.copy(path.with_name("here"), path),
    "vacate": files.vacate,
    "make_folder": files.make_folder,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_file_is_named_and_not_touched(
    call: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run/file"
    path.parent.mkdir()
    (path.parent / "here").write_text("x")
    special(path, kind)
    with pytest.raises(UnsafeFileError, match=f"file (is|no file).*{KINDS[kind]}|file {KINDS[kind]}") as refusal:
        CALLS[call](path)
    assert refusal.value.exit_code == 2
    assert not (tmp_path / "outside-not-there").exists()
    if kind == "link":
        assert (tmp_path / "outside-file").read_text() == "the user's own\n"


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_looked_through(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run/deep/er/file"
    path.parent.mkdir(parents=True)
    files.refuse_links(tmp_path / "run")
    special(path, kind)
    with pytest.raises(UnsafeFileError, match=f"er/file .*{KINDS[kind]}"):
        files.refuse_links(tmp_path / "run")


def test_a_link_on_the_way_is_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "disk/run").mkdir(parents=True)
    (tmp_path / "runs").symlink_to(tmp_path / "disk/run")
    files.refuse_links(tmp_path / "runs")
    files.append(tmp_path / "runs/run.log", "line\n")
    assert (tmp_path / "disk/run/run.log").read_text() == "line\n"


def test_only_what_wandb_makes_is_a_link_in_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "wandb"
    (folder / "offline-run-1").mkdir(parents=True)
    (folder / "latest-run").symlink_to("offline-run-1")
    files.refuse_links(tmp_path)
    for name, target in (("debug.log", "../run.log"), ("run.json", "offline-run-1"), ("debug-internal.log", "/etc/x")):
        (folder / name).symlink_to(target)
        with pytest.raises(UnsafeFileError, match=name):
            files.refuse_links(tmp_path)
        (folder / name).unlink()


def test_wandb_may_link_the_log_of_its_process_and_nothing_else(tmp_path: Path) -> None:
    logs = tmp_path / "wandb/offline-run-1/logs"
    logs.mkdir(parents=True)
    core = "/home/me/.cache/wandb/logs/core-debug-20261130_204423.log"
    (logs / "debug-core.log").symlink_to(core)
    files.refuse_links(tmp_path)
    (logs / "debug-core.log").unlink()
    for link, target in (
        ("debug-core.log", "/home/me/.bashrc"),
        ("debug-core.log", "/home/me/wandb/../.cache/wandb/logs/core-debug-1.log"),
        ("debug.log", core),
        ("../debug-core.log", core),
    ):
        (logs / link).symlink_to(target)
        with pytest.raises(UnsafeFileError, match=link.removeprefix("../")):
            files.refuse_links(tmp_path)
        (logs / link).unlink()


def test_another_name_of_a_file_keeps_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "run.log").write_text("before\n")
    (tmp_path / "copy").hardlink_to(tmp_path / "run.log")
    files.append(tmp_path / "run.log", "after\n")
    assert (tmp_path / "copy").read_text() == "before\n"
    assert (tmp_path / "run.log").read_text() == "before\nafter\n"
    (tmp_path / "csv").hardlink_to(tmp_path / "copy")
    files.write(tmp_path / "csv", "anew")
    assert (tmp_path / "copy").read_text() == "before\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "csv", "run.log"]


def test_permissions_are_what_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        files.write(tmp_path / "written", "x")
        files.append(tmp_path / "appended", "x")
        files.replace(tmp_path / "replaced", "x")
        files.make_folder(tmp_path / "folder")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"written": 0o664, "appended": 0o664, "replaced": 0o664, "folder": 0o775}


def test_text_is_utf8_and_any_name_can_be_written(tmp_path: Path) -> None:
    files.append(tmp_path / "log", "héllo \udcff\n")
    assert (tmp_path / "log").read_bytes() == "héllo ?\n".encode()
    with files.replacing(tmp_path / "table") as file:
        file.write("é,1\r\n")
    assert (tmp_path / "table").read_bytes() == "é,1\r\n".encode()
    (tmp_path / "log").write_bytes(b"\xe9")
    with pytest.raises(ValueError, match="utf-8"):
        files.text_of(tmp_path / "log")


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "table").write_text("before")

    def fail() -> None:
        with files.replacing(tmp_path / "table") as file:
            file.write("half")
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        fail()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("table", "before")]


def test_no_more_is_read_than_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_bytes(b"")
    os.truncate(path, 1 << 40)
    with pytest.raises(ValueError, match=r"1,099,511,627,776 bytes, expected at most 100"):
        files.read(path, 100)
    os.truncate(path, 100)
    assert files.read(path, 100) == bytes(100)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    for call in (files.read, lambda path: files.append(path, "x"), lambda path: files.write(path, "x")):
        with pytest.raises(OSError, match=r"[Ff]older|director|exists"):
            call(tmp_path)
