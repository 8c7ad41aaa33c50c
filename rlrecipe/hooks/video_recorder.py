"""Films episodes of the policy as it is, now and then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from rlrecipe.clock import Alarm
from rlrecipe.errors import HookError
from rlrecipe.hooks.base import Hook, prefix
from rlrecipe.interfaces import State
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.values import Duration

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop

Even = Annotated[int, Field(gt=0, multiple_of=2)]


class VideoRecorderOptions(Options):
    """Write episodes of the policy as it is to videos/<frames>.mp4 in the run directory."""

    every: Duration = option(Duration(100_000), "How often; a number means frames.")
    episodes: int = option(1, "Episodes in each video, one after the other.", gt=0)
    max_frames: int | None = option(None, "Most frames of each episode; null: to its end.", gt=0)
    size: tuple[Even, Even] | None = option(None, "Width and height in pixels, even numbers; null: the environment's.")
    fps: float | None = option(None, "Pictures a second; null: what the environment says.", gt=0)
    deterministic: bool = option(True, "The most probable actions rather than drawn ones.")


class VideoRecorder(Hook, options=VideoRecorderOptions, point="post_steps"):
    """Episodes in an environment of its own, with seeds of its own, the same ones each time.

    What keeps it from rendering or writing is said once; training goes on. ``rlrecipe.recorders`` has a transform
    of this name, which films an environment of torchrl's.

    Args:
        folder: where the files go; None for ``videos`` in the run directory.
    """

    category = "operation"
    observer = True

    def __init__(self, *values: Any, folder: str | Path | None = None, **named: Any) -> None:
        super().__init__(*values, **named)
        self.folder = None if folder is None else Path(folder)

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Film after a batch's updates.

        Raises:
            HookError: the trainer has no environment to evaluate in.
        """
        from rlrecipe.acting.evaluation import Evaluator
        from rlrecipe.recorders.mp4 import Filming

        name = name or self.usual_name
        if trainer.stage is None:
            raise HookError(f"{name}: this trainer has no environment to evaluate in; set trainer.stage")
        self.prefix = prefix(self, trainer, name)
        self.trainer, self.alarm = trainer, Alarm(self.options.every, trainer.clock)

        def say(line: str) -> None:
            trainer.say(f"{name}: {line}; training goes on")

        self.filming = Filming(say, self.options.fps, self.options.size)
        # One environment: its episodes follow each other.
        self.evaluator = Evaluator(
            trainer.stage, trainer.streams.of(name), keep=True, camera=self.filming, width=1, say=say
        )
        trainer.register_op("shutdown", self.evaluator.close)
        super().register(trainer, name)

    def __call__(self) -> None:
        """Film if it is time.

        Raises:
            HookError: there is no folder for videos.
        """
        if not self.alarm.fires() or not self.filming.works:
            return
        from rlrecipe.acting.evaluation import OccupiedError

        folder = self.folder or (self.trainer.folder and self.trainer.folder / "videos")
        if folder is None:
            raise HookError("video_recorder: this trainer has no run directory; say VideoRecorder(folder=)")
        self.filming.start(folder / f"{self.prefix}{self.trainer.clock.moment:012d}.mp4", self.options.episodes)
        try:
            self.evaluator.run(self.options.episodes, self.options.deterministic, frames=self.options.max_frames)
        except OccupiedError as error:
            # None can be built later, either.
            self.filming.fail(error)
        finally:
            self.filming.finish()

    def state_dict(self) -> State:
        """When it films next."""
        return self.alarm.state_dict()

    def load_state_dict(self, state: State) -> None:
        """Go on counting."""
        self.alarm.load_state_dict(state)


@register("hook", "video_recorder", requires={"imageio": "video", "imageio_ffmpeg": "video"})
def make_video_recorder(options: VideoRecorderOptions) -> VideoRecorder:
    """A recorder of episodes."""
    return VideoRecorder.of(options)
