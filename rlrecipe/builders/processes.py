"""Environments in processes of their own: one at a time as a vector environment, or by a collector's workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gymnasium.vector import AsyncVectorEnv, AutoresetMode

from rlrecipe.acting.policy import Policy
from rlrecipe.assembly.collecting import make_collector_offpolicy, make_collector_onpolicy
from rlrecipe.assembly.constructors import EnvConstructor, transformed_env_constructor
from rlrecipe.assembly.environments import Env
from rlrecipe.assembly.sections import Section, plain, refuse, slot_of
from rlrecipe.collectors.sent import Sent
from rlrecipe.interfaces import Collector
from rlrecipe.recipe.asked import env_name
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.values import DISCOUNT


@dataclass(frozen=True)
class ParallelEnvConstructor:
    """Makes a vector environment at each call, every environment in a process of its own.

    Attributes:
        constructor: of each environment.
        num_workers: how many there are.
    """

    constructor: EnvConstructor
    num_workers: int

    def __call__(self) -> AsyncVectorEnv:
        """Gymnasium's AsyncVectorEnv: an environment whose episode ends starts its next one in the same step."""
        makes = [_There(self.constructor)] * self.num_workers
        # Not forked: a fork after torch has started threads may wait for them forever.
        return AsyncVectorEnv(makes, context="spawn", autoreset_mode=AutoresetMode.SAME_STEP)


class _There:
    """Makes an environment in the process that it is called in."""

    def __init__(self, constructor: EnvConstructor) -> None:
        self.sent = Sent(constructor, env_name(constructor.options))

    def __call__(self) -> Env:
        env: Env = self.sent.open()()
        return env


def parallel_env_constructor(
    env: Section | None = None,
    *,
    num_workers: int | None = None,
    phase: Literal["train", "eval"] = "train",
    gamma: float = DISCOUNT,
    **options: Any,
) -> ParallelEnvConstructor:
    """A callable that makes a vector environment whose environments step in processes of their own.

    A script that calls it needs ``if __name__ == "__main__":``, as everything does that Python's multiprocessing
    spawns. For training, a collector's workers (``sync_sync_collector``) step several environments each.

    Args:
        env: the id of an environment, or the section.
        num_workers: processes, with one environment each; by default ``num_envs`` of the section.
        phase: "train" or "eval": transforms of the other phase are left out.
        gamma: discount, for ``reward_norm``.
        options: single options of the section, such as ``transforms``; each environment has its own statistics.

    Raises:
        RecipeError: the options are wrong.
        ValueError: less than one process.
    """
    constructor = transformed_env_constructor(env, phase=phase, gamma=gamma, **options)
    workers: int = constructor.options.num_envs if num_workers is None else num_workers
    if workers < 1:
        raise ValueError(f"num_workers is {workers}; environments need at least one process")
    return ParallelEnvConstructor(constructor, workers)


def _section(collector: Section | None, name: str) -> Any:
    """The section of the collector ``name``.

    Raises:
        RecipeError: it names another one.
    """
    written = {} if collector is None else plain(slot_of("collector"), collector)
    if not isinstance(written, Mapping):
        # Told by the slot, like any other wrong value.
        return written
    given = written.get("name", name)
    if given != name:
        message = f"expected the collector {name}, which this function makes, got {given!r}"
        cure = f"leave the name out, or give {given!r} to make_collector_onpolicy or make_collector_offpolicy"
        refuse([Problem("E302", ("collector", "name"), message, cure)])
    return {**written, "name": name}


def sync_sync_collector(
    env: Section | EnvConstructor,
    policy: Policy,
    collector: Section | None = None,
    *,
    off_policy: bool = False,
    **options: Any,
) -> Collector:
    """The collector ``multi_sync``: processes that step their environments in turn; a batch waits for all.

    Args:
        env: the environments: an id, the section, or a constructor of ``transformed_env_constructor``.
        policy: what acts.
        collector: its section, or its options without the name.
        off_policy: whether batches are for a replay buffer, as ``make_collector_offpolicy`` makes them.
        options: further arguments of ``make_collector_onpolicy``, and single options of the collector, such as
            ``num_workers``.

    Raises:
        RecipeError: the options are wrong, or do not fit one another.
    """
    make = make_collector_offpolicy if off_policy else make_collector_onpolicy
    return make(env, policy, _section(collector, "multi_sync"), **options)


def sync_async_collector(
    env: Section | EnvConstructor,
    policy: Policy,
    collector: Section | None = None,
    *,
    off_policy: bool = True,
    **options: Any,
) -> Collector:
    """The collector ``multi_async``: processes that step their environments in turn; none waits for another.

    Args and errors are those of ``sync_sync_collector``. A batch is one process's, of weights that may be older than
    the newest, so that an algorithm has to allow for that, as those with a replay buffer do.
    """
    make = make_collector_offpolicy if off_policy else make_collector_onpolicy
    return make(env, policy, _section(collector, "multi_async"), **options)
