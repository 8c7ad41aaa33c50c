"""Counts that were meant in the environment's own frames, as numbers of decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Options that count frames and nothing else.
FRAMES = frozenset({"total_frames", "frames_per_batch", "init_random_frames", "max_frames", "record_frames"})
#: Options that hold a duration: a bare number counts frames, {unit: N} may count something else.
DURATIONS = frozenset({"every", "keep_every", "log_interval", "time_limit", "until"})


def correct_for_frame_skip(section: Mapping[str, Any], frame_skip: int | None = None) -> dict[str, Any]:
    """A recipe, or one section of it, whose counts were given in the environment's own frames.

    A frame of a recipe is one decision of the policy, however often the environment repeats its action. Numbers
    from papers often count repetitions: 10 million frames of Atari at ``frame_skip: 4`` are 2.5 million here.
    Whole numbers are rounded down, to 1 at least, as batches may have to be: ``frames_per_batch`` stays a multiple of
    ``num_envs`` only if the division leaves it one. A share of the run (``until`` up to 1), and durations in updates,
    episodes or seconds, stay as they are.

    Args:
        section: a recipe, or a part of one, as a mapping; it is not changed.
        frame_skip: how often each action is repeated; by default as ``env.frame_skip`` says.

    Raises:
        ValueError: ``frame_skip`` is below 1.
    """
    if frame_skip is None:
        env = section.get("env", section)
        frame_skip = env.get("frame_skip", 1) if isinstance(env, Mapping) else 1
    if isinstance(frame_skip, bool) or not isinstance(frame_skip, int) or frame_skip < 1:
        raise ValueError(f"frame_skip: expected a whole number of at least 1, got {frame_skip!r}")
    return {key: _corrected(key, value, frame_skip) for key, value in section.items()}


def _corrected(key: str, value: Any, skip: int) -> Any:
    if isinstance(value, Mapping):
        # A duration's unit, {frames: N}, is corrected as an option that counts frames.
        return {inner: _corrected(inner, each, skip) for inner, each in value.items()}
    if isinstance(value, list | tuple):
        return [_corrected("", each, skip) for each in value]
    counts = key in FRAMES or key in DURATIONS or key == "frames"
    if not counts or isinstance(value, bool) or not isinstance(value, int | float) or (key == "until" and value <= 1):
        return value
    # Nothing stays nothing: no random frames, for one.
    return max(1, int(value // skip)) if value else value
