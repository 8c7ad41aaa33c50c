"""A process that has imported what ``rlrecipe`` needs, and forks whatever a test starts as ``rlrecipe``.

Importing torch takes two seconds of a core, each time. ``python -m tests.forks SOCKET`` imports it once and waits;
``python tests/forks.py SOCKET WORDS...`` stands in for ``python -m rlrecipe WORDS...``: it hands over its standard
streams, folder and environment, passes signals on, and ends as the forked process does. That one runs the same code
from ``entry`` on. What Python does before it, and what is chosen before torch is loaded, is not tried this way: tests
of that start an interpreter of their own.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
from types import FrameType
from typing import Any, NoReturn

#: Signals that a stand-in passes on.
PASSED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)
#: Where the server of these tests listens.
VARIABLE = "RLRECIPE_TEST_FORKS"
#: Variables that count only before Python or torch start: with other values than the server's, nothing is forked.
EARLY = ("OMP_", "MKL_", "GOMP_", "OPENBLAS_", "KMP_", "LC_", "LANG", "PYTHON", "LD_", "TORCH")


# -- the stand-in; it imports as little as it can


def stand_in(path: str, words: list[str]) -> int:
    """Have ``rlrecipe WORDS`` forked with this process's streams; its exit code."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)
        request = {
            "words": words,
            "cwd": os.getcwd(),  # noqa: PTH109 - pathlib takes long to import
            "env": dict(os.environ),
            "umask": _umask(),
        }
        connection.sendmsg(
            [json.dumps(request).encode() + b"\n"],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))],
        )
        answers = connection.makefile("r")
        pid = int(answers.readline())
        if not pid:
            # Its environment asks for an interpreter of its own.
            os.execv(sys.executable, [sys.executable, "-m", "rlrecipe", *words])

        def pass_on(number: int, _: FrameType | None) -> None:
            os.kill(pid, number)

        for number in PASSED:
            signal.signal(number, pass_on)
        code = int(answers.readline())
    if code < 0:
        # Killed: so is this one.
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# -- the server


class Server:
    """Forks a process for each connection, and tells how it ended."""

    def __init__(self, path: str) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(64)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        # It ends with the tests, however they do: the other end of its standard input is theirs.
        self.selector.register(0, selectors.EVENT_READ)
        self.early = _early(os.environ)

    def serve(self) -> dict[str, Any] | None:
        """Answer until the tests end; in a process that was forked meanwhile, what it shall be."""
        while True:
            for key, _ in self.selector.select():
                if key.fileobj == 0:
                    return None
                if key.fileobj is not self.listener:
                    self._ended(key.fd, *key.data)
                elif (request := self._accept()) is not None:
                    return request

    def _accept(self) -> dict[str, Any] | None:
        connection, _ = self.listener.accept()
        content, ancillary, _, _ = connection.recvmsg(1 << 20, socket.CMSG_SPACE(3 * 4))
        files = array.array("i", b"".join(data for _, _, data in ancillary))
        while not content.endswith(b"\n"):
            content += connection.recv(1 << 20)
        request: dict[str, Any] = json.loads(content)
        pid = os.fork() if _early(request["env"]) == self.early else None
        if pid == 0:
            for number, file in enumerate(files):
                os.dup2(file, number)
            for one in (*files, connection.fileno(), self.listener.fileno(), self.selector.fileno()):
                os.close(one)
            return request
        for file in files:
            os.close(file)
        connection.sendall(f"{pid or 0}\n".encode())
        if pid is None:
            connection.close()
        else:
            self.selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, connection))
        return None

    def _ended(self, descriptor: int, pid: int, connection: socket.socket) -> None:
        _, status = os.waitpid(pid, 0)
        self.selector.unregister(descriptor)
        os.close(descriptor)
        # Who asked may have been killed.
        with contextlib.suppress(BrokenPipeError):
            connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        connection.close()


def become(request: dict[str, Any]) -> None:
    """Take over the folder, environment and words of who asked."""
    os.chdir(request["cwd"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["env"])
    # As python -m has it.
    sys.argv, sys.path[0] = ["rlrecipe", *request["words"]], request["cwd"]


def finish(code: int) -> NoReturn:
    """End as an interpreter does, but for taking torch apart, which takes longer than most commands."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _early(env: Any) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(EARLY) and name != "PYTHONPATH"}


def main(path: str) -> None:
    """Import what runs need, and serve."""
    import gymnasium  # noqa: F401 - for those that are forked
    import torch  # noqa: F401 - likewise

    import rlrecipe.__main__
    import rlrecipe.algorithms.ppo
    import rlrecipe.cli
    import rlrecipe.runs.start

    # Its commands are modules, too.
    rlrecipe.cli.application()
    server = Server(path)
    print("ready", flush=True)
    request = server.serve()
    if request is not None:
        become(request)
        try:
            rlrecipe.__main__.entry()
        except SystemExit as end:
            finish(end.code if isinstance(end.code, int) else int(end.code is not None))


if __name__ == "__main__":
    if __package__:
        main(sys.argv[1])
    else:
        sys.exit(stand_in(os.environ[VARIABLE], sys.argv[1:]))
