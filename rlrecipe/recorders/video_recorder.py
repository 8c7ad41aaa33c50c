"""Films an environment of torchrl's."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torchrl.record import VideoRecorder as TorchRLVideoRecorder

from rlrecipe.recorders.mp4 import Video, cure_of
from rlrecipe.torchrl.objects import KeepsVideos


class VideoRecorder(TorchRLVideoRecorder):  # type: ignore[misc] # torchrl has no types
    """torchrl's recorder, with mp4 by imageio, where torchrl's needs torchcodec and the system's FFmpeg.

    A picture or a file that cannot be made is said once, and the environment goes on without a video.

    Args:
        logger: one of torchrl's, such as ``CSVLogger(video_format="mp4")``; or a folder, for mp4 files in it.
        tag: beginning of the files' names.
        **named: torchrl's other arguments: in_keys, skip, center_crop, make_grid, out_keys, fps, max_frames,
            dump_on_done.
    """

    def __init__(self, logger: Any, tag: str | None, *arguments: Any, **named: Any) -> None:
        folder = Path(logger) if isinstance(logger, str | Path) else None
        super().__init__(None if folder is not None else logger, tag, *arguments, **named)
        self.folder, self.works = folder, True
        self.obs: list[torch.Tensor]
        self.iter: int

    def _apply_transform(self, observation: torch.Tensor) -> torch.Tensor:
        if not self.works:
            return observation
        try:
            super()._apply_transform(observation)
        except Exception as error:
            self._fail(error)
        return observation

    def dump(self, suffix: str | None = None, step: int | None = None) -> None:
        """Write the pictures since the last time to ``<tag>_<suffix>_<step>.mp4``, and forget them."""
        folder = self._mp4_folder()
        try:
            if folder is None or not self.obs:
                super().dump(suffix, step)
                return
            name = "_".join(filter(None, [self.tag, suffix, str(self.iter if step is None else step)]))
            self._write(folder / f"{name}.mp4")
        except Exception as error:
            self._fail(error)
        finally:
            self.obs = []
        self.iter, self.count = self.iter + 1, 0

    def _mp4_folder(self) -> Path | None:
        """Where mp4 files go, unless the logger has formats of its own."""
        if self.folder is not None or not isinstance(self.logger, KeepsVideos) or self.logger.video_format != "mp4":
            return self.folder
        return Path(self.logger.experiment.log_dir) / "videos"

    def _write(self, path: Path) -> None:
        usual = self.logger.video_fps if isinstance(self.logger, KeepsVideos) else 30
        video = Video(path, self.video_kwargs.get("fps") or usual)
        try:
            for picture in self.obs:
                video.add(picture.permute(1, 2, 0).numpy())
        except BaseException:
            video.discard()
            raise
        video.close()

    def _fail(self, error: Exception) -> None:
        if self.works:
            warnings.warn(f"VideoRecorder: no video: {type(error).__name__}: {error}; {cure_of(error)}", stacklevel=3)
        self.works, self.obs = False, []
