"""Episodes as mp4 files, by imageio and the ffmpeg that comes with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rlrecipe.errors import Refusal
from rlrecipe.stepping.headless import GRAPHICS
from rlrecipe.system.files import make_folder, vacate


class VideoUnavailable(Refusal):
    """No video can be written here; the message names the cure."""

    exit_code = 4


class Video:
    """Pictures as an mp4 file (H.264), which is there under its name once it is closed.

    Args:
        path: the file.
        fps: pictures a second.
        size: width and height in pixels, even numbers; None for those of the pictures.

    Raises:
        VideoUnavailable: imageio is not installed.
    """

    def __init__(self, path: Path, fps: float, size: Sequence[int] | None = None) -> None:
        try:
            import imageio.v2 as imageio
            import imageio_ffmpeg  # noqa: F401 - the writer needs it and would only say so later
        except ModuleNotFoundError as error:
            raise VideoUnavailable(f"videos need {error.name}: pip install 'rlrecipe[video]'") from None
        make_folder(path.parent)
        # Half a file has no index and cannot be played: it must not stand under the name of a whole one.
        self.path, self._part = path, path.with_name(f".{path.stem}.part.mp4")
        scale = [] if size is None else ["-vf", f"scale={size[0]}:{size[1]}"]
        # Without a size of one's own, pictures grow to even numbers, which the format needs.
        block = 2 if size is None else 1
        self._writer: Any = imageio.get_writer(vacate(self._part), fps=fps, macro_block_size=block, output_params=scale)

    def add(self, picture: Any) -> None:
        """Append a picture ``[H, W, 3]`` of bytes."""
        self._writer.append_data(picture)

    def close(self) -> None:
        """Write what is left; nothing stays of a file that cannot be written."""
        try:
            self._writer.close()
            self._part.replace(self.path)
        except BaseException:
            self._part.unlink(missing_ok=True)
            raise

    def discard(self) -> None:
        """Leave nothing behind."""
        try:
            self._writer.close()
        finally:
            self._part.unlink(missing_ok=True)


def check_target(path: Path) -> None:
    """See that a file that a user names can be an mp4 file.

    Raises:
        Refusal: it is a folder, or its name ends otherwise.
    """
    if path.is_dir():
        raise Refusal(f"no video can be written to {path}: it is a folder; name a file, such as {path / 'film.mp4'}")
    if path.suffix.lower() != ".mp4":
        raise Refusal(f"no video can be written to {path}: videos are mp4; name a file that ends in .mp4")


class Filming:
    """Films the first episodes of evaluations; what fails is said once, and costs nothing but the video.

    Args:
        say: tells of what failed, with its cure.
        fps: pictures a second; None for what the environment says.
        size: width and height in pixels; None for what the environment gives.
    """

    def __init__(self, say: Callable[[str], None], fps: float | None = None, size: Sequence[int] | None = None) -> None:
        self.say, self.fps, self.size = say, fps, size
        self.works = True
        self._path: Path | None = None
        self._episodes = 0
        self._video: Video | None = None

    def make(self, make: Callable[..., Any]) -> Any:
        """An environment that renders, or one that does not where that cannot be."""
        if self.works:
            try:
                return make(render_mode="rgb_array")
            except Exception as error:
                self.fail(error)
        return make()

    def start(self, path: Path, episodes: int = 1) -> None:
        """Write what follows to ``path``: the first so many episodes of an evaluation."""
        self._path, self._episodes = path, episodes

    def take(self, episode: int, env: Any) -> None:
        """A picture of an environment."""
        if self._path is None or not self.works or episode >= self._episodes:
            return
        try:
            picture = _drawn(env)
            if self._video is None:
                self._video = Video(self._path, self.fps or env.metadata.get("render_fps", 30), self.size)
            self._video.add(picture)
        except Exception as error:
            self.fail(error)

    def finish(self) -> Path | None:
        """Close the file; its path, or None if there is none."""
        video, path, self._video, self._path = self._video, self._path, None, None
        if video is None:
            return None
        try:
            video.close()
        except Exception as error:
            self.fail(error)
            return None
        return path

    def discard(self) -> None:
        """Leave nothing behind of what was being filmed."""
        video, self._video, self._path = self._video, None, None
        if video is not None:
            video.discard()

    def fail(self, error: Exception) -> None:
        """Film no more, and say, once, why."""
        if not self.works:
            return
        self.works = False
        try:
            self.discard()
        except Exception as further:
            error.add_note(str(further))
        known = isinstance(error, VideoUnavailable)
        words = str(error) if known else ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
        self.say(f"no video: {words}" if known else f"no video: {words}; {cure_of(error)}")


def _drawn(env: Any) -> Any:
    try:
        picture = env.render()
    except NotImplementedError as error:
        # What gymnasium's base class raises, without a word.
        if str(error):
            raise
        picture = None
    if picture is None:
        raise VideoUnavailable(f"{env.unwrapped} renders no pictures: it needs render_mode 'rgb_array'")
    return picture


def cure_of(error: Exception) -> str:
    """What helps where rendering failed."""
    text = f"{type(error).__module__} {error}".lower()
    if any(word in text for word in ("mujoco", "opengl", "egl", "glfw", "osmesa")):
        return GRAPHICS
    if isinstance(error, OSError):
        return "make room where it goes, and see that it may be written there"
    return "see that the environment's render() works with render_mode='rgb_array', or leave the video out"
