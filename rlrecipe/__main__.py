"""``python -m rlrecipe`` is ``rlrecipe``: the whole process, from its start to its end."""

from __future__ import annotations

import sys

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NoReturn

    from rlrecipe.system.descriptors import Lenient

#: Commands that train: stopped, they go on when they are called again; what they answer stands in the run's folder.
TRAINING = ("run", "resume", "fork")


def entry() -> NoReturn:
    """Run one command and end the process with its exit code."""
    # First of all, before what takes time: signals, then descriptors, which any file might take.
    from rlrecipe.system.signals import Early

    asks = "--help" in sys.argv
    trains = not asks and next((word for word in sys.argv[1:] if not word.startswith("-")), "") in TRAINING
    early = Early(trains, quiet=not {"-q", "--quiet"}.isdisjoint(sys.argv))
    early.open()
    from rlrecipe.system.descriptors import secure

    answer = secure()
    if trains:
        from rlrecipe.runs.waiting import begin

        begin()
    import atexit
    import gc

    # The first that is registered is called last.
    atexit.register(early.ignore)
    # Torch's import makes a million objects that stay. Looking through them for garbage, again and again and at the
    # end, takes a quarter of a second of a process whose shortest runs take two.
    gc.set_threshold(100_000, 50, 100)
    from rlrecipe.cli import main

    code = _delivered(main(), answer, trains)
    early.code = code
    # Triton's bindings complain at the end of objects that are still there.
    if "triton" not in sys.modules:
        gc.freeze()
    sys.exit(code)


def _delivered(code: int, answer: Lenient, trains: bool) -> int:
    """The exit code of a command whose answer has to be delivered, too, unless it is of a run, which has it."""
    sys.stdout.flush()
    # A reader that has gone away has read enough.
    if answer.failure is not None and not isinstance(answer.failure, BrokenPipeError):
        kept = "; what it would have said stands in the run's summary.json and status.json" if trains else ""
        sys.stderr.write(f"standard output cannot be written: {answer.failure.strerror or answer.failure}{kept}\n")
        return code if trains else code or 1
    return code


if __name__ == "__main__":
    entry()
