"""An episode as an mp4 file, by imageio and the ffmpeg that comes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium

from rlrecipe.errors import Refusal


class VideoUnavailable(Refusal):
    """No video can be written here; the message names the cure."""

    exit_code = 4


class RecordFirstEpisode(gymnasium.Wrapper):
    """Writes the frames of the first episode; later ones are not rendered.

    Args:
        env: made with ``render_mode="rgb_array"``.
        path: the mp4 file.

    Raises:
        VideoUnavailable: imageio is not installed.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], path: Path) -> None:
        super().__init__(env)
        try:
            import imageio.v2 as imageio
            import imageio_ffmpeg  # noqa: F401 - the writer needs it and would only say so later
        except ModuleNotFoundError as error:
            raise VideoUnavailable(f"videos need {error.name}: pip install 'rlrecipe[video]'") from None
        path.parent.mkdir(parents=True, exist_ok=True)
        fps = int(env.metadata.get("render_fps", 30))
        self.writer: Any = imageio.get_writer(path, fps=fps, macro_block_size=2)
        self.recording = True

    def reset(self, **arguments: Any) -> tuple[Any, dict[str, Any]]:
        """Reset; the first frame is written."""
        result = self.env.reset(**arguments)
        self._frame()
        return result

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; the frame is written, and the file closed with the episode."""
        result = self.env.step(action)
        self._frame()
        if result[2] or result[3]:
            self._finish()
        return result

    def _frame(self) -> None:
        if self.recording:
            self.writer.append_data(self.env.render())

    def _finish(self) -> None:
        if self.recording:
            self.recording = False
            self.writer.close()

    def close(self) -> None:
        """Close the file and the environment."""
        self._finish()
        self.env.close()
