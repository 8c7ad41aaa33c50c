"""Drawing where there is no display: for MuJoCo by what works here, for pygame in memory."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

#: What helps where there is nothing to draw with.
GRAPHICS = (
    "MuJoCo draws by EGL or OSMesa where there is no display: install libegl1 with a driver, or libosmesa6 "
    "(apt-get install libegl1 libosmesa6), or set MUJOCO_GL"
)


def choose_renderer() -> None:
    """Let MuJoCo draw without settings: without a display it takes EGL, else OSMesa, whichever works.

    To be called before the first environment that renders is made. What ``MUJOCO_GL`` says already stays.
    """
    if "MUJOCO_GL" in os.environ or not _headless():
        return
    found = _working()
    if found is not None:
        os.environ["MUJOCO_GL"] = found


def hide_windows() -> None:
    """Let pygame draw in memory without looking for a display, about which it complains on standard error."""
    if _headless():
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        os.environ.setdefault("SDL_AUDIODRIVER", "dummy")


def _headless() -> bool:
    return sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@functools.cache
def _working() -> str | None:
    """The first of MuJoCo's ways to draw without a display that works here.

    Tried in a process of its own: PyOpenGL keeps to the first library that it was loaded with, and a broken
    driver may end the process.
    """
    for name in ("egl", "osmesa"):
        program = f"from mujoco.{name} import GLContext; context = GLContext(8, 8); context.make_current()"
        environment = {**os.environ, "MUJOCO_GL": name, "PYOPENGL_PLATFORM": name}
        command = [sys.executable, "-c", program]
        try:
            if subprocess.run(command, env=environment, capture_output=True, timeout=60).returncode == 0:
                return name
        except (OSError, subprocess.TimeoutExpired):
            continue
    return None
