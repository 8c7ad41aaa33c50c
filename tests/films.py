"""Videos read back."""

import re
import subprocess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np


def frames_of(path: Path) -> np.ndarray[Any, Any]:
    """Every picture of an mp4 file, ``[T, H, W, 3]``."""
    # Not imageio's reader, which leaves pipes open.
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    size = re.search(rb"Video: .* (\d+)x(\d+)", done.stderr)
    assert size is not None
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, int(size[2]), int(size[1]), 3)
