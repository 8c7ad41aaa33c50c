"""What all loggers have in common: torchrl's interface, and rows."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlrecipe.lazy import np
from rlrecipe.system.files import MOST_TEXT, make_folder, read, replace, text_of, utf8_path

#: Of a row, what says where it stands and is no measurement.
COUNTERS = ("frames", "updates")


class Logger(ABC):
    """Where numbers, videos and options go: torchrl's parts can call it as one of their own.

    Args:
        exp_name: the experiment's name.
        log_dir: where files go.
    """

    def __init__(self, exp_name: str, log_dir: str | Path) -> None:
        self.exp_name, self.log_dir = exp_name, str(log_dir)
        self._next: dict[str, int] = {}

    def write(self, row: Mapping[str, Any]) -> None:
        """Write a run's row, its numbers at its frames (``step_of``)."""
        measured = numbers(row)
        step = step_of(row)
        self._passed(measured, step)
        self._log(measured, step)

    def _passed(self, names: Iterable[str], step: int) -> None:
        self._next |= dict.fromkeys(names, step + 1)

    def cut(self, frames: int) -> None:
        """Take away the numbers of steps after ``frames``, where that can be: they come again."""
        self._next = {name: min(step, frames + 1) for name, step in self._next.items()}

    def log_scalar(self, name: str, value: float, step: int | None = None) -> None:
        """Write a number at a step, usually frames; without one, at the step after the name's last."""
        self.log_metrics({name: value}, step)

    def log_metrics(self, metrics: Any, step: int | None = None, *, keys_sep: str = "/") -> dict[str, float]:
        """Write several numbers at once: a mapping of numbers or tensors, or a TensorDict.

        Returns:
            The numbers as they were written.
        """
        if hasattr(metrics, "flatten_keys"):
            metrics = metrics.flatten_keys(keys_sep).to_dict()
        plain = {str(name): float(value) for name, value in metrics.items()}
        step = max((self._next.get(name, 0) for name in plain), default=0) if step is None else int(step)
        self._passed(plain, step)
        self._log(plain, step)
        return plain

    @abstractmethod
    def _log(self, metrics: Mapping[str, float], step: int) -> None: ...

    @abstractmethod
    def log_video(self, name: str, video: Any, step: int | None = None, *, fps: float | None = None) -> None:
        """Write a video ``[T, C, H, W]`` or ``[1, T, C, H, W]``: bytes, or floats from 0 to 1."""

    @abstractmethod
    def log_histogram(self, name: str, data: Any, step: int | None = None, *, bins: Any = 10) -> None:
        """Write how numbers are spread; ``bins`` as ``numpy.histogram`` takes them."""

    @abstractmethod
    def log_hparams(self, cfg: Any) -> None:
        """Write the options of an experiment: a mapping, or what has ``items``."""

    @abstractmethod
    def close(self) -> None:
        """Finish what is being written."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(exp_name={self.exp_name!r}, log_dir={self.log_dir!r})"


def numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """The measurements of a row."""
    return {key: value for key, value in row.items() if key not in COUNTERS and isinstance(value, int | float)}


def folder_of(log_dir: str | Path, exp_name: str | None) -> Path:
    """The folder of an experiment, made if it is new."""
    folder = Path(log_dir).expanduser() / utf8_path(exp_name or "")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def file_of(folder: Path, name: str, step: int | None, ending: str) -> Path:
    """Where something of a name and step goes, its folder made."""
    path = folder / f"{utf8_path(name)}{'' if step is None else f'_{step}'}{ending}"
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"the name {name!r} leads out of the logger's folder; use another")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def histogram(data: Any, bins: Any) -> dict[str, list[float]]:
    """Counts and the edges between them."""
    counts, edges = np.histogram(np.asarray(data, dtype=np.float64), bins)
    return {"counts": counts.tolist(), "edges": edges.tolist()}


def flat(cfg: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Options as dotted names and texts; a list of plain values is one text."""
    if hasattr(cfg, "items"):
        pairs = [(str(key), value) for key, value in cfg.items()]
    elif isinstance(cfg, Sequence) and not isinstance(cfg, str) and any(hasattr(each, "items") for each in cfg):
        pairs = [(str(index), value) for index, value in enumerate(cfg)]
    else:
        yield prefix, cfg if isinstance(cfg, str) else json.dumps(cfg, default=str)
        return
    for key, value in pairs:
        yield from flat(value, f"{prefix}.{key}" if prefix else key)


def recipe_of(run_dir: Path) -> dict[str, Any]:
    """The recipe of a run, every option in it; nothing where there is none."""
    import yaml

    try:
        text = text_of(run_dir / "resolved.yaml")
    except FileNotFoundError:
        return {}
    return dict(yaml.safe_load(text))


class Note:
    """What a run's logger remembers, in a small JSON file by which a resumed run finds it again.

    Loggers of one kind share the file: the first that notes something has the top of it, others are inside ``others``.

    Args:
        path: the file.
        exp_name: tells the loggers apart.
    """

    def __init__(self, path: Path, exp_name: str | None = None) -> None:
        self.path, self.exp_name = path, exp_name or ""

    def read(self) -> dict[str, Any]:
        """What this logger noted; nothing if it did not."""
        content = self._content()
        return content if self._has_top(content) else dict(content.get("others", {}).get(self.exp_name, {}))

    def everyone(self) -> list[dict[str, Any]]:
        """What each logger of the file noted."""
        content = self._content()
        return [content, *content.get("others", {}).values()] if content else []

    def write(self, noted: Mapping[str, Any]) -> None:
        """Note something, by one rename."""
        content = self._content()
        others = dict(content.get("others", {}))
        if self._has_top(content):
            content = {**noted, "exp_name": self.exp_name}
        else:
            others[self.exp_name] = dict(noted)
        make_folder(self.path.parent)
        replace(self.path, json.dumps({**content, "others": others} if others else content), durably=False)

    def _content(self) -> dict[str, Any]:
        try:
            content = json.loads(read(self.path, MOST_TEXT))
        except (FileNotFoundError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    def _has_top(self, content: Mapping[str, Any]) -> bool:
        # Where no name stands, a run had but one logger: whoever comes first goes on with it.
        return bool(content.get("exp_name", self.exp_name) == self.exp_name)


def step_of(row: Mapping[str, Any]) -> int:
    """Where a run's row stands: at its frames, or at the updates of a run that counts none."""
    step = row["frames"] or row.get("updates")
    return step if isinstance(step, int) else 0


def last_frames(rows: Sequence[Mapping[str, Any]]) -> float:
    """The step of the newest row."""
    return max(map(step_of, rows), default=-math.inf)
