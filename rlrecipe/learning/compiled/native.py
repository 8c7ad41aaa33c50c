"""An update in one call, or its gradients and steps, by packages that are made before the first one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
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
from rlrecipe.learning.objectives import Objectives
from rlrecipe.learning.update import (
    EAGER,
    Pairs,
    Piece,
    Pieces,
    Report,
    Status,
    Steps,
    Taken,
    follow,
    gradient,
    step,
    update,
)


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


class Native:
    """Makes updates native for sub-batches like the first one; others, and what cannot be compiled, stay eager.

    Args:
        path: where packages are kept.
        context: is told what is compiled, and asked whether the run shall stop meanwhile.
    """

    def __init__(self, path: Path, context: RunContext | None = None) -> None:
        context = context or RunContext()
        self.path, self.say, self.lost, self.interrupted = path, context.say, context.lost, context.interrupted

    def compiled(self, objectives: Objectives, batch: Batch, inputs: Scalars) -> Taken:
        """``update`` in packages that are found or made for sub-batches like this one."""
        try:
            rows = Rows(batch)
            whole = self._whole(objectives, rows, inputs)
            return partial(update, steps=self._steps(objectives, rows, inputs)) if whole is None else whole
        except UnavailableError as error:
            self.lost(str(error))
            return update

    def steps(self, objectives: Objectives, batch: Batch, inputs: Scalars) -> Steps:
        """The steps of an update in packages, for updates with a hook between gradient and step."""
        try:
            return self._steps(objectives, Rows(batch), inputs)
        except UnavailableError as error:
            self.lost(str(error))
            return EAGER

    def _whole(self, objectives: Objectives, rows: Rows, inputs: Scalars) -> Whole | None:
        """Packages of all kinds of updates that there will be; None if they have to go step by step."""
        if len(objectives.parts) > 1 and not separable():
            return None
        try:
            wholes = {
                pieces: WholeUpdate(objectives, pieces, list(inputs), list(rows.kinds)) for pieces in objectives.kinds()
            }
            shared = [*inputs.values(), *rows.first]
            jobs = [Job(_place(pieces), _named(pieces), one, [*one.tensors, *shared]) for pieces, one in wholes.items()]
            programs = self.packages([(job, *fingerprint(job.function, job.tensors)) for job in jobs])
        except UntraceableError:
            # Step by step, what stands against it is found where it is, and said.
            return None
        return Whole(rows, {pieces: (one, programs[_place(pieces)]) for pieces, one in wholes.items()})

    def _steps(self, objectives: Objectives, rows: Rows, inputs: Scalars) -> Steps:
        """Packages of each gradient and each step, as far as they can be traced."""
        jobs, gradients, every = list[Job](), dict[str, Gradient](), objectives.kinds()[-1]
        for piece in objectives.parts:
            one = gradients[piece.name] = Gradient(objectives, piece, list(inputs), list(rows.kinds))
            given = [*one.tensors, *inputs.values(), *rows.first]
            jobs.append(Job((piece.name, "gradient"), f"the gradient of {piece.name}", alone(one), given))
            function, moved = step_function(piece, objectives.clip_norm), _moved(piece, torch.empty_like(given[0]))
            jobs.append(Job((piece.name, "step"), f"the step of {piece.name}", function, moved))
        if every.pairs:
            tensors = [tensor for pair in every.pairs for tensor in pair]
            jobs.append(Job(("follow",), "the step of the target networks", follow_function(every), tensors))
        found = []
        for job in jobs:
            try:
                found.append((job, *fingerprint(job.function, job.tensors)))
            except UntraceableError as error:
                self.say(f"{job.what} is not compiled: {error}")
        try:
            programs = self.packages(found)
        except UntraceableError as error:
            self.say(f"updates are not compiled: {error}")
            return EAGER
        native = NativeSteps(rows, programs, gradients)
        return Steps(gradient=native.gradient, step=native.step, follow=native.follow)

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


class Rows:
    """What packages take of a sub-batch: a package hardly looks at what it is given.

    Args:
        batch: the first one.
    """

    def __init__(self, batch: Batch) -> None:
        # Dense: packages are made of copies of what they are shown, and those are.
        self.first = [tensor.contiguous() for tensor in batch.values()]
        self.kinds: dict[Key, Any] = {key: _kind(tensor) for key, tensor in zip(batch, self.first, strict=True)}

    def of(self, batch: Batch) -> list[torch.Tensor] | None:
        """The tensors of a sub-batch; None if it does not look like the first one. Further keys do no harm."""
        try:
            rows = [batch[key].contiguous() for key in self.kinds]
        except KeyError:
            return None
        return rows if [_kind(row) for row in rows] == list(self.kinds.values()) else None


@dataclass(frozen=True)
class Whole:
    """``update`` in one call: a package for each kind of update."""

    rows: Rows
    programs: Mapping[Pieces, tuple[WholeUpdate, Program]]

    def __call__(self, pieces: Pieces, batch: Batch, inputs: Scalars) -> tuple[Status, list[Report]]:
        """Move what the pieces are views of; eager for other sub-batches than those that came first."""
        rows = self.rows.of(batch)
        if rows is None:
            return update(pieces, batch, inputs)
        one, program = self.programs[pieces]
        status, *packed = program([*one.tensors, *inputs.values(), *rows])
        reports = list[Report]()
        for each in one.gradients:
            reports.append(each.names.unpack(packed[: each.names.count]))
            packed = packed[each.names.count :]
        return status, reports


@dataclass(frozen=True)
class NativeSteps:
    """Steps of an update, in packages as far as there are."""

    rows: Rows
    programs: Mapping[tuple[str, ...], Program]
    gradients: Mapping[str, Gradient]

    def gradient(self, piece: Piece, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Flat gradient of an objective's loss, and what to report."""
        program = self.programs.get((piece.name, "gradient"))
        rows = None if program is None else self.rows.of(batch)
        if program is None or rows is None:
            return gradient(piece, batch, inputs)
        one = self.gradients[piece.name]
        flat, *packed = program([*one.tensors, *inputs.values(), *rows])
        return flat, one.names.metrics(packed)

    def step(
        self, piece: Piece, gradient: torch.Tensor, clip_norm: float | None, fine: bool | torch.Tensor = True
    ) -> None:
        """Clip a gradient and move the piece's stretch and the optimizer's state by it, in place."""
        program = self.programs.get((piece.name, "step"))
        if program is None:
            step(piece, gradient, clip_norm)
        else:
            program(_moved(piece, gradient))

    def follow(self, pairs: Pairs, tau: float, fine: bool | torch.Tensor = True) -> None:
        """Polyak update of target networks, in place."""
        program = self.programs.get(("follow",))
        if program is None:
            follow(pairs, tau)
        elif pairs:
            program([tensor for pair in pairs for tensor in pair])


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


def _place(pieces: Pieces) -> tuple[str, ...]:
    return ("update", *(piece.name for piece in pieces.objectives))


def _named(pieces: Pieces) -> str:
    return f"the update of {', '.join(piece.name for piece in pieces.objectives)}"


def _all(jobs: Iterable[Job]) -> str:
    return " and ".join(job.what for job in jobs)


def _moved(piece: Piece, gradient: torch.Tensor) -> list[torch.Tensor]:
    """What a step takes."""
    return [piece.layout.flat, gradient, piece.lr, *piece.state.values()]
