"""An update in one call, or its gradients and steps, by packages that are made before the first one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rlrecipe.context import RunContext
from rlrecipe.interfaces import Batch, Key, Scalars
from rlrecipe.learning.compiled import package
from rlrecipe.learning.compiled.cache import Cache, key
from rlrecipe.learning.compiled.fingerprint import UntraceableError, fingerprint
from rlrecipe.learning.compiled.functions import Gradient, WholeUpdate, alone, follow_function, only, step_function
from rlrecipe.learning.compiled.trace import separable
from rlrecipe.learning.compiled.turns import turn
from rlrecipe.learning.targets import Targets
from rlrecipe.learning.update import Eager, Part, Stop, Update, Whole


class UnavailableError(Exception):
    """This machine cannot make a package; another one might."""


@dataclass(frozen=True)
class Job:
    """A function that shall become a package: its place, how it is called to the user, the tensors that it is given."""

    place: tuple[str, ...]
    what: str
    function: Callable[..., Any]
    tensors: Sequence[torch.Tensor]


@dataclass(frozen=True)
class Program:
    """A package's run, and which of its function's tensors it takes."""

    run: package.Run
    used: list[int]

    def __call__(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Do what the function does with its tensors."""
        return self.run([tensors[i] for i in self.used])


class Compiled(Eager):
    """Packages for sub-batches like the first one; others, and what cannot be compiled, stay eager.

    Args:
        path: where packages are kept.
        context: is told what is compiled, and asked whether the run shall stop meanwhile.
    """

    def __init__(self, path: Path, context: RunContext | None = None) -> None:
        context = context or RunContext()
        self.path, self.say, self.lost, self.interrupted = path, context.say, context.lost, context.interrupted
        self._programs: dict[tuple[str, ...], Program] = {}
        self._wholes: dict[tuple[str, ...], WholeUpdate] = {}
        self._gradients: dict[str, Gradient] = {}
        #: What a sub-batch must look like by key: a package hardly looks at what it is given.
        self._kinds: dict[Key, Any] = {}

    def prepare(
        self, update: Update, batch: Batch, inputs: Scalars, clip_norm: float | None, stop: Stop | None
    ) -> None:
        """Find or make packages for updates with sub-batches like this one; without ``stop`` part by part."""
        self._programs, self._wholes, self._gradients = {}, {}, {}
        # Dense: packages are made of copies of what they are shown, and those are.
        batch = {key: tensor.contiguous() for key, tensor in batch.items()}
        self._kinds = {key: _kind(tensor) for key, tensor in batch.items()}
        try:
            if stop is None or not self._join(update, batch, inputs, clip_norm, stop):
                self._split(update, batch, inputs, clip_norm)
        except UnavailableError as error:
            self.lost(str(error))

    def _join(self, update: Update, batch: Batch, inputs: Scalars, clip_norm: float | None, stop: Stop) -> bool:
        """Packages of all kinds of updates that there will be; False if they have to go part by part."""
        if len(update.parts) > 1 and not separable():
            return False
        try:
            wholes = [
                WholeUpdate(update, parts, clip_norm, stop, list(inputs), list(batch)) for parts in update.kinds()
            ]
            shared = [*inputs.values(), *batch.values()]
            jobs = [Job(_place(one.parts), _named(one.parts), one, [*one.tensors, *shared]) for one in wholes]
            self._programs = self.packages([(job, *fingerprint(job.function, job.tensors)) for job in jobs])
        except UntraceableError:
            # Part by part, what stands against it is found where it is, and said.
            return False
        self._wholes = {_place(one.parts): one for one in wholes}
        return True

    def _split(self, update: Update, batch: Batch, inputs: Scalars, clip_norm: float | None) -> None:
        """Packages of each gradient and each step, as far as they can be traced."""
        jobs = []
        for part in update.parts:
            one = self._gradients[part.name] = Gradient(part, list(inputs), list(batch))
            given = [*one.tensors, *inputs.values(), *batch.values()]
            jobs.append(Job((part.name, "gradient"), f"the gradient of {part.name}", alone(one), given))
            step = step_function(part, clip_norm)
            jobs.append(
                Job((part.name, "step"), f"the step of {part.name}", step, _moved(part, torch.empty_like(part.flat)))
            )
        targets = update.following(update.parts)
        if targets is not None:
            jobs.append(Job(("follow",), "the step of the target networks", follow_function(targets), _pairs(targets)))
        found = []
        for job in jobs:
            try:
                found.append((job, *fingerprint(job.function, job.tensors)))
            except UntraceableError as error:
                self.say(f"{job.what} is not compiled: {error}")
        try:
            self._programs = self.packages(found)
        except UntraceableError as error:
            self.say(f"updates are not compiled: {error}")

    # -- updates

    def whole(self, update: Update, parts: Sequence[Part], batch: Batch, inputs: Scalars) -> Whole | None:
        """A whole update in one call; None for other sub-batches than those that came first, and where it cannot."""
        place = _place(parts)
        one = self._wholes.get(place)
        rows = None if one is None else self._rows(batch)
        if one is None or rows is None:
            return None
        status, *packed = self._programs[place]([*one.tensors, *inputs.values(), *rows])
        given, numbers, columns = iter(packed), list[tuple[tuple[str, ...], torch.Tensor]](), dict[str, torch.Tensor]()
        for gradient in one.gradients:
            row, own = gradient.reports.unpack(given)
            columns |= own
            if gradient.reports.numbers:
                numbers.append((gradient.reports.numbers, row))
        return Whole(status, numbers, columns)

    def gradient(self, part: Part, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Flat gradient of a part's loss, and what to report; nothing changes."""
        program = self._programs.get((part.name, "gradient"))
        rows = None if program is None else self._rows(batch)
        if program is None or rows is None:
            return super().gradient(part, batch, inputs)
        one = self._gradients[part.name]
        flat, *packed = program([*one.tensors, *inputs.values(), *rows])
        row, columns = one.reports.unpack(iter(packed))
        return flat, {**dict(zip(one.reports.numbers, row.unbind(), strict=True)), **columns}

    def apply(self, part: Part, gradient: torch.Tensor, clip_norm: float | None) -> None:
        """Clip a gradient and move a part's stretch and the optimizer's state by it, in place."""
        program = self._programs.get((part.name, "step"))
        if program is None:
            return super().apply(part, gradient, clip_norm)
        program(_moved(part, gradient))
        return None

    def follow(self, targets: Targets) -> None:
        """Let target networks follow, in place."""
        program = self._programs.get(("follow",))
        if program is None:
            return super().follow(targets)
        program(_pairs(targets))
        return None

    def _rows(self, batch: Batch) -> list[torch.Tensor] | None:
        """What packages take of a sub-batch; None if it does not look like the first one. Further keys do no harm."""
        try:
            rows = [batch[key].contiguous() for key in self._kinds]
        except KeyError:
            return None
        return rows if [_kind(row) for row in rows] == list(self._kinds.values()) else None

    # -- packages

    def packages(self, found: Iterable[tuple[Job, list[str], list[int]]]) -> dict[tuple[str, ...], Program]:
        """Programs by their places, from the cache or newly made, of jobs with their operations and tensors.

        Raises:
            UntraceableError: no package can do what one of them does.
            UnavailableError: this machine cannot make one; that was said.
        """
        named = [(key(operations, torch.get_num_threads()), job, used) for job, operations, used in found]
        try:
            cache = Cache(self.path)
            contents = {name: cache.get(name) for name, _, _ in named}
            missing = {name: (job, used) for name, job, used in named if contents[name] is None}
            if missing:
                with turn(self.path, missing, self.interrupted, self.say):
                    # Another run may have made some of them meanwhile.
                    contents |= {name: cache.get(name) for name in missing}
                    missing = {name: one for name, one in missing.items() if contents[name] is None}
                    if missing:
                        self._build(cache, missing)
                        contents |= {name: cache.get(name) for name in missing}
            return {
                job.place: Program(package.load(_there(contents[name]), cache.path), used) for name, job, used in named
            }
        except UntraceableError:
            raise
        except (RuntimeError, OSError) as error:
            what = _all(job for _, job, _ in named)
            self.say(f"{what} is not compiled: {error}")
            raise UnavailableError(f"{what} could not be compiled on this machine") from error

    def _build(self, cache: Cache, missing: Mapping[str, tuple[Job, list[int]]]) -> None:
        """Make packages and put them into the cache."""
        if package.compiler() is None:
            raise RuntimeError("there is no C++ compiler on this machine")
        what = _all(job for job, _ in missing.values())
        self.say(f"compiling {what}; later runs find it in {_shown(self.path)}")
        started = time.perf_counter()
        jobs = [
            package.Job(only(job.function, job.tensors, used), [job.tensors[i] for i in used], cache.staging(name))
            for name, (job, used) in missing.items()
        ]
        package.build(jobs, self.path, self.interrupted)
        for name, job in zip(missing, jobs, strict=True):
            cache.put(name, job.package)
        self.say(f"compiled {what} in {time.perf_counter() - started:.0f} s")


def _there(content: bytes | None) -> bytes:
    if content is None:
        raise RuntimeError("the package that was just made is not there any more")
    return content


def _shown(path: Path) -> Path:
    """A path as users write it."""
    with suppress(RuntimeError, ValueError):
        return Path("~", path.relative_to(Path.home()))
    return path


def _kind(tensor: torch.Tensor) -> Any:
    """What a package takes for granted."""
    return tensor.shape, tensor.dtype


def _place(parts: Sequence[Part]) -> tuple[str, ...]:
    return ("update", *(part.name for part in parts))


def _named(parts: Sequence[Part]) -> str:
    return f"the update of {', '.join(part.name for part in parts)}"


def _all(jobs: Iterable[Job]) -> str:
    return " and ".join(job.what for job in jobs)


def _moved(part: Part, gradient: torch.Tensor) -> list[torch.Tensor]:
    """What a step takes."""
    return [part.flat, gradient, part.lr, *part.state.values()]


def _pairs(targets: Targets) -> list[torch.Tensor]:
    """What following takes."""
    return [tensor for pair in targets.pairs for tensor in pair]
