"""Standard streams that are closed, full, gone, or in another encoding."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECURED = "import os, sys\nfrom rlrecipe.system.descriptors import secure\nanswer = secure()\n"


def shell(code: str, streams: str = "", **environment: str) -> "subprocess.CompletedProcess[bytes]":
    """Run code after the streams were put in order, with redirections of a shell."""
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {streams}', sys.executable, SECURED + code],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_no_file_takes_the_place_of_a_stream_that_was_closed(streams: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    code = (
        f"file = open({str(file)!r}, 'w')\nassert file.fileno() > 2\n"
        "print('answer'); print('words', file=sys.stderr); sys.stdin.read()\nos.write(1, b'!'); os.write(2, b'!')\n"
        # What it starts has all three, too.
        "import subprocess\nsubprocess.run(['sh', '-c', 'echo out; echo err >&2'], check=True)\n"
        "file.write('own')"
    )
    done = shell(code, streams)
    assert done.returncode == 0, done.stderr
    assert file.read_text(encoding="utf-8") == "own"
    assert done.stdout == (b"" if ">&-" in streams.split() else b"answer\n")


@pytest.mark.parametrize("reason", ["full", "gone"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_cannot_be_written_is_dropped(reason: str, stream: str) -> None:
    code = f"for _ in range(3): sys.{stream}.write('x' * 10_000); sys.{stream}.flush()\n"
    code += "name = type(answer.failure).__name__\nos.write(0, name.encode())\n"
    read, write = os.pipe()
    os.close(read)
    target = os.open("/dev/full", os.O_WRONLY) if reason == "full" else write
    told, tell = os.pipe()
    done = subprocess.run(
        [sys.executable, "-c", SECURED + code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=tell,
        stdout=target if stream == "stdout" else None,
        stderr=target if stream == "stderr" else None,
    )
    for descriptor in {write, target, tell}:
        os.close(descriptor)
    with os.fdopen(told, encoding="utf-8") as said:
        failure = said.read()
    assert done.returncode == 0
    assert failure == ("NoneType" if stream == "stderr" else {"full": "OSError", "gone": "BrokenPipeError"}[reason])


def test_all_but_the_answer_goes_to_standard_error() -> None:
    code = (
        "import ctypes, subprocess\nprint('answer')\nos.write(1, b'descriptor\\n')\n"
        "sys.__stdout__.write('first stream\\n'); sys.__stdout__.flush()\n"
        "subprocess.run(['echo', 'process'])\nctypes.CDLL(None).puts(b'C')\n"
    )
    done = shell(code)
    assert done.stdout == b"answer\n"
    assert set(done.stderr.decode().split("\n")) >= {"descriptor", "first stream", "process", "C"}


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "utf-8"])
def test_no_text_is_too_much_for_an_encoding(encoding: str) -> None:
    text = "s\u00fc\u00df \u2502 \udcff"
    done = shell(f"for stream in (sys.stdout, sys.stderr): stream.write({text!a})", PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert done.stdout == done.stderr == text.encode(encoding, "backslashreplace")


def test_an_encoding_with_a_way_of_its_own_keeps_it() -> None:
    done = shell("print('s\\u00fc')", PYTHONIOENCODING="ascii:replace")
    assert done.stdout == b"s?\n"


def test_a_pipe_that_does_not_wait_is_given_time() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    code = "sys.stdout.write('x' * 300_000); sys.stdout.flush(); sys.exit(answer.failure is not None)"
    with subprocess.Popen(
        [sys.executable, "-c", SECURED + code], env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=write
    ) as process:
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            assert len(pipe.read()) == 300_000
    assert process.returncode == 0
