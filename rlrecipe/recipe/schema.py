"""The recipe: its sections and the options that belong to no component.

Read top to bottom, this file is the shape of every recipe. A field annotated with a ``Slot`` holds a
component, whose own options stand in the component's file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr
from pydantic_core import PydanticCustomError

from rlrecipe.recipe.names import LONGEST_NAME, NAMED, SHOWN
from rlrecipe.recipe.options import MOST, Options, option
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.values import Duration

if TYPE_CHECKING:
    from rlrecipe.recipe.imports import Imported

#: Words kept for later versions of the format; a recipe that uses one is refused as such.
RESERVED = ("seeds", "sweep", "execution", "dataset", "groups", "model")
VERSION = 1
#: A folder's name: one of dots alone would lead out of ``runs``.
NAME_PATTERN = r"^\.*[a-z0-9_-][a-z0-9._-]*$"

EnvSlot = Annotated[Options, Slot("env", default="gym", bare="env_name")]
NetworkSlot = Annotated[Options, Slot("network")]


class TrainerOptions(Options):
    """How long to train and how the outer loop behaves."""

    total_frames: int | None = option(None, "Frames to train for; whole batches are taken.", gt=0)
    total_updates: int | None = option(None, "Updates to train for; whole batches are taken.", gt=0)
    clip_norm: float | None = option(
        None, "Bound on the joint norm of an update's gradient; null leaves gradients as they are.", gt=0
    )
    log_interval: Duration = option(Duration(2000), "How often a row is written to the logs.")
    time_limit: Duration | None = option(
        None, "Stop with a checkpoint after this much work; a number means frames, {seconds: N} wall time."
    )
    optim_steps_per_batch: int | None = option(
        None, "Updates after each batch, for algorithms that sample from a replay buffer.", gt=0
    )
    updates_per_frame: float | None = option(
        None, "Updates for each frame, fractions carried over; excludes optim_steps_per_batch.", gt=0
    )


class EvaluationOptions(Options):
    """How the policy is evaluated: frozen statistics, raw rewards, the same fixed seeds each time."""

    every: Duration | None = option(None, "How often to evaluate; null: only once, at the end of training.")
    episodes: int = option(10, "Episodes of one evaluation; 0: the run is never evaluated, and has no best.", ge=0)
    max_steps: int = option(
        100_000, "Steps after which an episode that has not ended is cut: an endless one would never be over.", gt=0
    )
    deterministic: bool = option(True, "Take the most probable action instead of drawing one.")
    env: Annotated[dict[str, Any], SHOWN] = option({}, "Options of env that differ in evaluation.")


def _known_backend(value: Any) -> Any:
    if value == "torchsnapshot":
        raise PydanticCustomError(
            "torchsnapshot",
            "torchsnapshot has had no release since 2022; dcp (torch.distributed.checkpoint) replaces it",
        )
    return value


Backend = Annotated[Literal["safetensors", "torch", "dcp"], BeforeValidator(_known_backend)]


class CheckpointOptions(Options):
    """When checkpoints are written and which are kept."""

    every: Duration = option(Duration(100_000), "How often a checkpoint is written; one ends every run.")
    keep_last: int = option(3, "How many of the newest checkpoints stay.", gt=0)
    keep_best: bool = option(True, "Also keep the checkpoint with the best evaluation.")
    keep_every: Duration | None = option(None, "Also keep the first checkpoint after each of these, for good.")
    include_buffer: bool = option(
        True,
        "Save the content of the replay buffer; false: a resumed run starts with an empty one, at the level continue.",
    )
    backend: Backend = option(
        "safetensors", "The file format of tensors; CKPT_BACKEND in the environment sets the default."
    )


class RuntimeOptions(Options):
    """The machine: device, threads, compilation. Each auto becomes what was chosen in resolved.yaml."""

    device: Annotated[str, NAMED] = option("auto", "Where updates run: auto (the CPU), cpu, cuda, cuda:N, mps.")
    threads: Annotated[int, Field(gt=0)] | Literal["auto"] = option(
        "auto",
        "Threads of one torch operation. auto: one for small networks, which are fastest so; else two, or what "
        "OMP_NUM_THREADS and MKL_NUM_THREADS say, and no more than the cores that the process may use. A number wins.",
    )
    compile: Literal["auto", "on", "off"] = option(
        "auto", "Whether updates are compiled, once for all runs of a kind: auto does it from 5000 updates on."
    )
    deterministic: bool = option(True, "Use only operations that give the same bits each time.")


class Recipe(Options):
    """A whole recipe, as it stands after merging every layer."""

    version: Literal[1] = option(VERSION, "Version of the recipe format; an absent version means 1 forever.")
    name: Annotated[str, NAMED] = option(
        ..., "Name of the run; default <algorithm>-<env id>.", pattern=NAME_PATTERN, max_length=LONGEST_NAME
    )
    seed: int = option(0, "Seed of every random stream of the run.", ge=0)
    imports: Annotated[list[str], NAMED] = option([], "Files or modules with components; loaded only with consent.")
    env: EnvSlot = option(..., "The environment.")
    networks: dict[str, NetworkSlot] = option({}, "One network for each slot of the algorithm.")
    algorithm: Annotated[Options, Slot("algorithm")] = option(..., "The algorithm.")
    optimizer: Annotated[Options, Slot("optimizer")] = option(..., "What turns gradients into steps.")
    collector: Annotated[Options, Slot("collector", default="sync")] = option(..., "How frames are collected.")
    replay_buffer: Annotated[Options, Slot("replay_buffer")] | None = option(None, "Where transitions are kept.")
    exploration: Annotated[Options, Slot("exploration")] | None = option(None, "What makes actions explore.")
    trainer: TrainerOptions = option(..., "How long to train.")
    evaluation: EvaluationOptions = option({}, "How the policy is evaluated.")
    checkpoint: CheckpointOptions = option({}, "When checkpoints are written.")
    loggers: list[Annotated[Options, Slot("logger")]] = option(
        ["csv"], "Where rows go besides metrics.jsonl.", max_length=MOST
    )
    hooks: list[Annotated[Options, Slot("hook")]] = option(
        [], "Functions called at points of the loop.", max_length=MOST
    )
    runtime: RuntimeOptions = option({}, "Device, threads and compilation.")
    _imported: tuple[Imported, ...] = PrivateAttr(())

    @property
    def imported(self) -> tuple[Imported, ...]:
        """The user's files and modules that were loaded for it, as worker processes have to load them, too."""
        return self._imported
