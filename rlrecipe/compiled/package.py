"""Making and loading packages: torch's ahead-of-time compiler over a traced function.

``python -m rlrecipe.compiled.package PROGRAM PACKAGE`` compiles an exported program: in a process of its own, so that
the compiler's memory and imports are none of the run's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from rlrecipe.compiled.fingerprint import UntraceableError

#: The wrapper is glue: optimising it doubles the time of compiling and changes no speed.
OPTIONS = {"aot_inductor.compile_wrapper_opt_level": "O0", "aot_inductor.precompile_headers": False}

Run = Callable[[list[torch.Tensor]], list[torch.Tensor]]


def compiler() -> str | None:
    """The C++ compiler that torch would use, or None."""
    names = (os.environ.get("CXX"), "g++", "clang++")
    return next((found for name in names if name and (found := shutil.which(name))), None)


def export(function: Callable[..., Any], inputs: Sequence[torch.Tensor], file: Path) -> None:
    """Trace a function of tensors, gradients inside, and write it down.

    Raises:
        UntraceableError: constants are left in it: what they stood for may change.
    """
    from torch.fx.experimental.proxy_tensor import make_fx

    graph = make_fx(function)(*(tensor.detach().clone() for tensor in inputs))
    if any(node.op == "get_attr" for node in graph.graph.nodes):
        raise UntraceableError("its trace holds constant tensors")
    torch.export.save(torch.export.export(graph, tuple(tensor.detach().clone() for tensor in inputs)), file)


def build(function: Callable[..., Any], inputs: Sequence[torch.Tensor], package: Path) -> None:
    """Compile a function of tensors into a package.

    Raises:
        UntraceableError: it cannot be traced.
        RuntimeError: the compiler failed; the message ends with what it said.
    """
    with tempfile.TemporaryDirectory(dir=package.parent, prefix=".build.") as scratch:
        program = Path(scratch) / "program.pt2"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            export(function, inputs, program)
        command = [sys.executable, "-m", "rlrecipe.compiled.package", str(program), str(package)]
        environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": scratch, "TMPDIR": scratch}
        environment["OMP_NUM_THREADS"] = str(torch.get_num_threads())
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            raise RuntimeError(f"the update could not be compiled: {done.stderr.strip().splitlines()[-1:]}")


def private_loader() -> Any:
    """Torch's loader class below its public interface, or None: it is not promised to stay."""
    return getattr(getattr(torch._C, "_aoti", None), "AOTIModelPackageLoader", None)


def load(package: Path) -> Run:
    """The package's function of flat tensors; what it writes in place is written."""
    loader = private_loader()
    if loader is None:
        return load_publicly(package)
    run: Run = loader(str(package), "model", False, 1, -1).run
    return run


def load_publicly(package: Path) -> Run:
    """The same through torch's public interface, which takes a second more."""
    from torch._inductor import aoti_load_package

    model = aoti_load_package(str(package))

    def run(inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        return list(model(*inputs) or ())

    return run


def main(program: str, package: str) -> None:
    """Compile."""
    import torch._inductor

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch._inductor.aoti_compile_and_package(torch.export.load(program), package_path=package, inductor_configs=OPTIONS)


if __name__ == "__main__":
    main(*sys.argv[1:])
