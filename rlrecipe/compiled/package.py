"""Making and loading packages: torch's ahead-of-time compiler over a traced function.

``main`` reads the path of an exported program and compiles it: in a process of its own, so that the compiler's memory
and imports are none of the run's, and several at a time.
"""

from __future__ import annotations

import gc
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
from typing import Any

import torch

from rlrecipe.errors import StoppedError

#: The wrapper is glue: optimising it doubles the time of compiling and changes no speed.
OPTIONS = {"aot_inductor.compile_wrapper_opt_level": "O0", "aot_inductor.precompile_headers": False}
#: What a compiling process runs. Its modules come from where the run's do, never from the current folder.
PROGRAM = "import sys; sys.path.append(sys.argv[1]); from rlrecipe.compiled.package import main; main(sys.argv[2])"
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
    """A compiling process: it loads torch's compiler while its program is still being traced.

    A session of its own: Ctrl-C is for the run, which ends it; and it ends when the run does.

    Args:
        package: what it makes.
        scratch: a folder for what it needs meanwhile.
    """

    def __init__(self, package: Path, scratch: Path) -> None:
        scratch.mkdir()
        self.log = scratch / "log"
        threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
        folders = {"TORCHINDUCTOR_CACHE_DIR": str(scratch), "TMPDIR": str(scratch)}
        # Whether the compiler knows the processor's vectors shows when it compiles; trying first takes seven seconds.
        known = {"TORCHINDUCTOR_VEC_ISA_OK": os.environ.get("TORCHINDUCTOR_VEC_ISA_OK", "1")}
        known |= {"CXX": found} if (found := compiler()) else {}
        home = Path(__file__).parents[2]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", PROGRAM, str(home), str(package)],
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

    def begin(self, program: Path) -> None:
        """Compile a program."""
        assert self.process.stdin is not None, "it has a pipe"
        # One that died says why at the end.
        with suppress(BrokenPipeError):
            self.process.stdin.write(f"{program}\n".encode())
            self.process.stdin.flush()

    def finished(self) -> bool:
        """Whether the package is there.

        Raises:
            RuntimeError: it failed; the message ends with what it said.
        """
        if self.process.poll():
            said = self.log.read_text(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(f"the compiler failed: {' '.join(said) or 'it said nothing'}")
        return self.process.returncode == 0


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

        def start(i: int) -> Compiler:
            return stack.enter_context(Compiler(jobs[i].package, scratch / str(i)))

        width = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        running = {i: start(i) for i in range(min(width, len(jobs)))}
        # Not before now: a run that finds its packages does without the tracer.
        from rlrecipe.compiled.trace import export

        for i, job in enumerate(jobs):
            export(job.function, job.tensors, scratch / f"{i}.pt2")
            if i in running:
                running[i].begin(scratch / f"{i}.pt2")
        waiting = list(range(len(running), len(jobs)))
        while running:
            if interrupted():
                raise StoppedError("stopped while the update was being compiled")
            time.sleep(0.05)
            for i in [i for i, one in running.items() if one.finished()]:
                del running[i]
                if waiting:
                    following = waiting.pop(0)
                    running[following] = start(following)
                    running[following].begin(scratch / f"{following}.pt2")


def private_loader() -> Any:
    """Torch's loader class below its public interface, or None: it is not promised to stay."""
    return getattr(getattr(torch._C, "_aoti", None), "AOTIModelPackageLoader", None)


def load(package: Path) -> Run:
    """The package's function of flat tensors; what it writes in place is written."""
    before = os.environ.get("TMPDIR")
    # Loaders unpack there. What is loaded stays in memory; where a run is killed, the cache sweeps the rest.
    with tempfile.TemporaryDirectory(dir=package.parent, prefix=SCRATCH) as scratch:
        os.environ["TMPDIR"] = scratch
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


def main(package: str) -> None:
    """Compile the program whose path comes on standard input."""
    # What is loaded and traced here stays to the end: looking for garbage is a tenth of the time.
    gc.disable()
    import torch._inductor

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    program = sys.stdin.readline().strip()
    if not program:
        return
    # The pipe closes when the run ends, however it does.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
    torch._inductor.aoti_compile_and_package(torch.export.load(program), package_path=package, inductor_configs=OPTIONS)
    sys.stdout.flush()
    # Nothing is left to be done; taking the interpreter down in good order takes half a second.
    os._exit(0)
