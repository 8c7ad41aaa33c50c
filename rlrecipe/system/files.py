"""Every file of a run, checkpoint or log is opened here.

A run folder may come from a stranger, or be shared with a group. So nothing in it leads elsewhere: a link, pipe or
device in place of a file or folder is refused by its name (links on the way to the run folder are the user's own and
are fine). Text is UTF-8 whatever the locale, and permissions are what the umask leaves.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom, BufferedReader, BufferedWriter
from pathlib import Path
from typing import Literal, TextIO, overload

from rlrecipe.errors import Refusal

#: Bytes of a file that people read, such as status.json: more is none of ours.
MOST_TEXT = 1 << 22
#: Bytes from which on a file is looked at for holes, and how much larger than what is on disk it may be: systems that
#: compress keep blocks of zeros as holes.
LARGE, MOST_HOLLOW = 1 << 26, 64
#: Links that wandb makes in its own folder of a run, by a rename, to files in that folder.
_WANDB, _WANDB_LINKS = "wandb", frozenset({"latest-run", "debug.log", "debug-internal.log", "debug-core.log"})
#: One that it makes in a new run's ``logs`` to what its process writes in the user's cache; nothing opens it.
_CORE_LINK, _CORE = "debug-core.log", re.compile(r".*/wandb/logs/core-debug-[\w-]+\.log")
#: Never waits for the other end of a pipe, never becomes the process's terminal.
_SAFE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class UnsafeFileError(Refusal):
    """What stands in place of a file or folder of a run leads elsewhere, or is no file (exit 2)."""


def refuse_links(folder: Path) -> None:
    """See that a run folder holds nothing but files and folders.

    Raises:
        UnsafeFileError: it holds a link, pipe, socket or device; the message names the first one found.
    """
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    path = Path(entry.path)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(path)
                    elif not entry.is_file(follow_symlinks=False) and not _made_by_wandb(folder, path):
                        refuse_special(path)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            # Another process removed it meanwhile, or it can be neither read nor written.
            continue


def refuse_special(path: Path) -> None:
    """See that a path is a file, a folder or nothing.

    Raises:
        UnsafeFileError: it is a link, pipe, socket or device.
    """
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISLNK(mode):
        raise UnsafeFileError(
            f"{path} is a link to {path.readlink()}: links inside a run folder are not followed; "
            "put what it leads to in its place, or remove it"
        )
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UnsafeFileError(f"{path} is no file but a {_kind(mode)}; remove it")


def _made_by_wandb(folder: Path, path: Path) -> bool:
    own = folder / _WANDB
    in_logs = path.name == _CORE_LINK and path.parent.name == "logs" and path.parent.parent.parent == own
    if not in_logs and (path.parent != own or path.name not in _WANDB_LINKS):
        return False
    try:
        target = path.readlink()
    except OSError:
        return False
    if ".." in target.parts:
        return False
    return _CORE.fullmatch(str(target)) is not None if in_logs else not target.is_absolute()


def _kind(mode: int) -> str:
    kinds = {stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket", stat.S_IFDIR: "folder"}
    return kinds.get(stat.S_IFMT(mode), "device")


def descriptor(path: Path, flags: int) -> int:
    """A descriptor of a file, made with what the umask leaves where ``flags`` say so.

    Raises:
        UnsafeFileError: it is a link, or no file.
        OSError: it cannot be opened.
    """
    try:
        opened = os.open(path, flags | _SAFE, 0o666)
    except OSError:
        # What is no file fails in as many ways as there are kinds; they are told by name.
        refuse_special(path)
        raise
    mode = os.fstat(opened).st_mode
    if not stat.S_ISREG(mode):
        os.close(opened)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise UnsafeFileError(f"{path} is no file but a {_kind(mode)}; remove it")
    return opened


def _anew(path: Path) -> int:
    """A file of one's own under a name: what stood there is removed, not written through."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    for _ in range(100):
        try:
            return descriptor(path, flags)
        except FileExistsError:
            refuse_special(path)
            path.unlink(missing_ok=True)
    raise FileExistsError(errno.EEXIST, "another process makes it again and again", str(path))


def _to_append(path: Path) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
    opened = descriptor(path, flags)
    if os.fstat(opened).st_nlink > 1:
        # Another name of it, as in a copy made of links, keeps what it has.
        os.close(opened)
        own = path.with_name(f".{path.name}.{os.getpid()}")
        copy(path, own)
        own.replace(path)
        opened = descriptor(path, flags)
    return opened


@overload
def open_binary(path: Path, mode: Literal["r"]) -> BufferedReader: ...
@overload
def open_binary(path: Path, mode: Literal["w"]) -> BufferedWriter: ...
@overload
def open_binary(path: Path, mode: Literal["a"]) -> BufferedRandom: ...
def open_binary(path: Path, mode: Literal["r", "w", "a"]) -> BufferedReader | BufferedWriter | BufferedRandom:
    """A file of bytes: ``r`` to read it, ``w`` to make it anew, ``a`` to append to it (and read and cut it).

    Raises:
        UnsafeFileError: it is a link, or no file.
        OSError: it cannot be opened.
    """
    opened = _opened(path, mode)
    if mode == "r":
        return os.fdopen(opened, "rb")
    return os.fdopen(opened, "wb") if mode == "w" else os.fdopen(opened, "ab+")


def open_text(path: Path, mode: Literal["r", "w", "a"]) -> TextIO:
    """A file of UTF-8, whatever the locale; line ends stay as they are. Otherwise as ``open_binary``."""
    # Names of files that are no UTF-8 become text that is.
    errors = "strict" if mode == "r" else "replace"
    return os.fdopen(_opened(path, mode), mode, encoding="utf-8", errors=errors, newline="")


def _opened(path: Path, mode: Literal["r", "w", "a"]) -> int:
    if mode == "r":
        return descriptor(path, os.O_RDONLY)
    return _anew(path) if mode == "w" else _to_append(path)


def read(path: Path, most: int | None = None) -> bytes:
    """The content of a file.

    Args:
        path: the file.
        most: bytes that it has at most; None for any number.

    Raises:
        UnsafeFileError: it is a link, or no file.
        OSError: it cannot be read.
        ValueError: it is larger than ``most``; nothing was read.
    """
    with open_binary(path, "r") as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise ValueError(f"{path} has {size:,} bytes, expected at most {most:,}")
        refuse_hollow(path, file.fileno())
        return file.read() if most is None else file.read(most)


def refuse_hollow(path: Path, opened: int) -> None:
    """See that a large file is there: one of holes costs whoever reads it, and nobody who made it.

    Raises:
        ValueError: hardly any of its bytes are on disk.
    """
    size, there, start = os.fstat(opened).st_size, 0, 0
    if size <= LARGE:
        return
    while start < size:
        try:
            start = os.lseek(opened, start, os.SEEK_DATA)
        except OSError:
            # Nothing but a hole is left, or the system does not tell.
            break
        end = os.lseek(opened, start, os.SEEK_HOLE)
        there, start = there + end - start, end
    os.lseek(opened, 0, os.SEEK_SET)
    if there * MOST_HOLLOW < size:
        raise ValueError(f"{path} claims {size:,} bytes, of which {there:,} are on disk")


def text_of(path: Path, most: int | None = MOST_TEXT) -> str:
    """The text of a file in UTF-8; raises as ``read`` does, also a ValueError where it is none."""
    return read(path, most).decode("utf-8")


def append(path: Path, text: str) -> None:
    """Put text at the end of a file, which is made where it is not there."""
    with open_text(path, "a") as file:
        file.write(text)


def write(path: Path, content: bytes | str) -> None:
    """Make a file anew; it need not outlive a crash of the machine."""
    with open_binary(path, "w") as file:
        file.write(_bytes(content))


def overwrite(path: Path, content: str) -> None:
    """Change a file in its place, which needs no room beside it."""
    with os.fdopen(descriptor(path, os.O_WRONLY), "wb") as file:
        file.write(_bytes(content))
        file.truncate()


def write_durably(path: Path, content: bytes) -> None:
    """Write a file and make its content durable; its name becomes so with ``sync_folder``."""
    with open_binary(path, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def replace(path: Path, content: bytes | str, *, durably: bool = True) -> None:
    """Put a new version of a file in place of the old one by one rename; readers never see half of it."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    if not durably:
        write(staged, content)
        staged.replace(path)
        return
    write_durably(staged, _bytes(content))
    staged.replace(path)
    sync_folder(path.parent)


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file that takes the place of ``path`` by one rename once it is written; nothing stays of half of it."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open_text(staged, "w") as file:
            yield file
        staged.replace(path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise


def copy(source: Path, target: Path) -> None:
    """Copy a file's content in blocks to a new file; neither is followed where it is a link."""
    with open_binary(source, "r") as given, open_binary(target, "w") as taken:
        shutil.copyfileobj(given, taken, 1 << 20)


def make_folder(path: Path) -> Path:
    """A folder, made with those above it where it is not there.

    Raises:
        UnsafeFileError: it is a link.
        OSError: it cannot be made, or a file has its name.
    """
    refuse_special(path)
    path.mkdir(parents=True, exist_ok=True)
    return path


def vacate(path: Path) -> Path:
    """A name under which a library may write a file: what stood there is removed.

    Raises:
        UnsafeFileError: it is a link, or no file.
    """
    refuse_special(path)
    path.unlink(missing_ok=True)
    return path


def utf8_path(name: str) -> str:
    """A name as the system takes it, so that its bytes on disk are UTF-8 whatever the locale."""
    return os.fsdecode(name.encode("utf-8", "replace"))


def _bytes(content: bytes | str) -> bytes:
    return content if isinstance(content, bytes) else content.encode("utf-8", "replace")
