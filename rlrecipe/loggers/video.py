"""Videos as files, by imageio and the ffmpeg that comes with it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rlrecipe.lazy import np
from rlrecipe.system.files import vacate


def frames_of(video: Any) -> np.ndarray:
    """Pictures ``[T, H, W, 3]`` as bytes, from ``[T, C, H, W]`` or a batch of one, bytes or floats from 0 to 1.

    Raises:
        ValueError: the shape is another, or there are not 1 or 3 colours.
    """
    pictures = np.asarray(video.detach().cpu() if hasattr(video, "detach") else video)
    if pictures.ndim == 5 and len(pictures) == 1:
        pictures = pictures[0]
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3):
        raise ValueError(
            f"a video is [T, C, H, W] or [1, T, C, H, W] with 1 or 3 colours C, got {list(pictures.shape)}"
        )
    if pictures.dtype != np.uint8:
        pictures = (pictures * 255).clip(0, 255) if np.issubdtype(pictures.dtype, np.floating) else pictures
        pictures = pictures.astype(np.uint8)
    pictures = np.moveaxis(pictures, 1, -1)
    return np.ascontiguousarray(np.broadcast_to(pictures, (*pictures.shape[:-1], 3)))


def _imageio() -> Any:
    try:
        import imageio.v2 as imageio
        import imageio_ffmpeg  # noqa: F401 - the writer needs it and would only say so later
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"videos need {error.name}: pip install 'rlrecipe[video]'") from None
    return imageio


def write_mp4(path: Path, video: Any, fps: float) -> None:
    """A video as an mp4 file.

    Raises:
        ModuleNotFoundError: imageio is not installed.
    """
    frames, imageio = frames_of(video), _imageio()
    with imageio.get_writer(vacate(path), format="FFMPEG", fps=fps, macro_block_size=2) as writer:
        for picture in frames:
            writer.append_data(picture)


def gif(video: Any, fps: float) -> tuple[bytes, int, int]:
    """A video as the bytes of a GIF, its height and its width."""
    frames, file = frames_of(video), io.BytesIO()
    _imageio().mimwrite(file, list(frames), format="GIF", duration=1000 / fps, loop=0)
    return file.getvalue(), frames.shape[1], frames.shape[2]
