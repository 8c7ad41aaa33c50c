"""``python -m rlrecipe`` is ``rlrecipe``: the whole process, from its start to its end."""

from __future__ import annotations

import gc
import sys
from typing import NoReturn


def entry() -> NoReturn:
    """Run one command and end the process with its exit code."""
    # Torch's import makes a million objects that stay. Looking through them for garbage, again and again and at the
    # end, takes a quarter of a second of a process whose shortest runs take two.
    gc.set_threshold(100_000, 50, 100)
    from rlrecipe.cli import main

    code = main()
    # Triton's bindings complain at the end of objects that are still there.
    if "triton" not in sys.modules:
        gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    entry()
