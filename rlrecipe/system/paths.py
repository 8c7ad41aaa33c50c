"""Paths as people write them."""

from __future__ import annotations

import os


def expanded(path: str) -> str:
    """A path whose ``~`` or ``~user`` the shell has left alone, as in ``--run-dir=~/runs``.

    As in a shell, the home of a user whom nobody knows stays as it is written.
    """
    return os.path.expanduser(path)  # noqa: PTH111 - pathlib's raises for an unknown user
