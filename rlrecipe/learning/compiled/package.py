"""Making and loading packages: torch's ahead-of-time compiler over a traced function.

``main`` reads paths of exported programs and compiles them: in a process of its own, so that the compiler's memory
and imports are none of the run's, and several at a time.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch

from rlrecipe.errors import StoppedError
from rlrecipe.system.files import write
from rlrecipe.system.signals import held_back

#: The wrapper is glue: optimising it doubles the time of compiling and changes no speed.
OPTIONS = {"aot_inductor.compile_wrapper_opt_level": "O0", "aot_inductor.precompile_headers": False}
#: What a compiling process runs. Its modules come from where the run's do, never from the current folder.
PROGRAM = "import sys; sys.path.append(sys.argv[1]); from rlrecipe.learning.compiled.package import main; main()"
#: Temporary folders of making and loading begin with it.
SCRATCH = ".scratch."

Run = Callable[[list[torch.Tensor]], list[torch.Tensor]]


@dataclass(frozen=True)
class Job:
    """A package that is to be made: of which function, with which tensors, and where."""

    function: Callable[..., Any]
    tensors: Sequence[torch.Tensor]
    package: Path


def compiler() -> str | None:
    """The C++ compiler that torch would use, or None."""
    names = (os.environ.get("CXX"), "g++", "clang++")
    return next((found for name in names if name and (found := shutil.which(name))), None)


class Compiler:
    """A compiling process: it loads torch's compiler while its first program is still being traced.

    A session of its own: Ctrl-C is for the run, which ends it; and it ends when the run does.

    Args:
        scratch: a folder for what it needs meanwhile.
    """

    def __init__(self, scratch: Path) -> None:
        scratch.mkdir()
        self.package: Path | None = None
        self.log = scratch / "log"
        threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
        folders = {"TORCHINDUCTOR_CACHE_DIR": str(scratch), "TMPDIR": str(scratch)}
        # Whether the compiler knows the processor's vectors shows when it compiles; trying first takes seven seconds.
        known = {"TORCHINDUCTOR_VEC_ISA_OK": os.environ.get("TORCHINDUCTOR_VEC_ISA_OK", "1")}
        known |= {"CXX": found} if (found := compiler()) else {}
        home = Path(__file__).parents[3]
        with self.log.open("wb") as log, held_back():
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", PROGRAM, str(home)],
                env={**os.environ, **threads, **folders, **known},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Compiler:
        return self

    def __exit__(self, *exception: object) -> None:
        """End it and what it started, if it has not ended yet."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()

    def begin(self, program: Path, package: Path) -> None:
        """Compile a program; the last one must have been finished."""
        assert self.process.stdin is not None, "it has a pipe"
        self.package = package
        # One that died says why at the end.
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps([str(program), str(package)]).encode() + b"\n")
            self.process.stdin.flush()

    def finished(self) -> bool:
        """Whether the package is there.

        Raises:
            RuntimeError: it failed; the message ends with what it said.
        """
        if self.process.poll() is not None:
            said = self.log.read_text(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(f"the compiler failed: {' '.join(said) or 'it said nothing'}")
        return self.package is not None and self.package.exists()


def build(jobs: Sequence[Job], folder: Path, interrupted: Callable[[], bool] = lambda: False) -> None:
    """Compile functions of tensors into packages, as many at a time as there are cores.

    Args:
        jobs: what is to be made.
        folder: for what is needed meanwhile.
        interrupted: asked all the time.

    Raises:
        UntraceableError: a function cannot be traced.
        RuntimeError: the compiler failed; the message ends with what it said.
        StoppedError: the run shall stop.
    """
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix=SCRATCH)))

        width = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        idle = [stack.enter_context(Compiler(scratch / str(i))) for i in range(min(width, len(jobs)))]
        busy: list[Compiler] = []
        # Not before now: a run that finds its packages does without the tracer.
        from rlrecipe.learning.compiled.trace import export

        waiting: list[tuple[Path, Path]] = []
        for i, job in enumerate(jobs):
            program = scratch / f"{i}.pt2"
            export(job.function, job.tensors, program)
            waiting.append((program, job.package))
            _share_out(waiting, idle, busy)
        while busy:
            if interrupted():
                raise StoppedError("stopped while the update was being compiled")
            time.sleep(0.05)
            _share_out(waiting, idle, busy)


def _share_out(waiting: list[tuple[Path, Path]], idle: list[Compiler], busy: list[Compiler]) -> None:
    """Give what waits to the processes that have nothing to do."""
    done = [compiler for compiler in busy if compiler.finished()]
    for compiler in done:
        busy.remove(compiler)
        idle.append(compiler)
    while waiting and idle:
        busy.append(idle.pop(0))
        busy[-1].begin(*waiting.pop(0))


def private_loader() -> Any:
    """Torch's loader class below its public interface, or None: it is not promised to stay."""
    try:
        return torch._C._aoti.AOTIModelPackageLoader
    except AttributeError:
        return None


def load(content: bytes, folder: Path) -> Run:
    """The function of flat tensors in a package; what it writes in place is written.

    Args:
        content: of the package, whose digest has been checked: these bytes are loaded, whatever has its name by now.
        folder: of the user alone, for what is needed meanwhile.
    """
    before = os.environ.get("TMPDIR")
    # Loaders unpack there. What is loaded stays in memory; where a run is killed, the cache sweeps the rest.
    with tempfile.TemporaryDirectory(dir=folder, prefix=SCRATCH) as scratch:
        os.environ["TMPDIR"] = scratch
        package = Path(scratch) / "package.pt2"
        write(package, content)
        try:
            loader = private_loader()
            try:
                run: Run | None = None if loader is None else loader(str(package), "model", False, 1, -1).run
            except (TypeError, AttributeError):
                # It is there, but asks for something else than it used to.
                run = None
            return run or load_publicly(package)
        finally:
            os.environ.pop("TMPDIR") if before is None else os.environ.update(TMPDIR=before)


def load_publicly(package: Path) -> Run:
    """The same through torch's public interface, which takes a second more."""
    from torch._inductor import aoti_load_package

    model = aoti_load_package(str(package))

    def run(inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        return list(model(*inputs) or ())

    return run


def main() -> None:
    """Compile the programs that standard input names, one after the other."""
    # What is loaded and traced here stays to the end: looking for garbage is a tenth of the time.
    gc.disable()
    import torch._inductor

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    programs: SimpleQueue[list[str]] = SimpleQueue()
    threading.Thread(target=_listen, args=(programs,), daemon=True).start()
    while True:
        program, package = programs.get()
        made = f"{program}.made.pt2"
        torch._inductor.aoti_compile_and_package(
            torch.export.load(program), package_path=made, inductor_configs=OPTIONS
        )
        sys.stdout.flush()
        # Who waits for the package finds all of it or nothing.
        Path(made).replace(package)


def _listen(programs: SimpleQueue[list[str]]) -> None:
    for line in sys.stdin:
        programs.put(json.loads(line))
    # The pipe closes when the run ends, however it does, or needs no more.
    os._exit(0)
