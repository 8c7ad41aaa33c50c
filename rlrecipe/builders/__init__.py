"""From a section of a recipe, or its options as keywords, to what it describes; what a recipe is built with, too.

Importing this package costs neither torch nor torchrl: a name is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlrecipe.assembly.assemble import make_trainer
    from rlrecipe.assembly.collecting import make_collector_offpolicy, make_collector_onpolicy, make_replay_buffer
    from rlrecipe.assembly.constructors import transformed_env_constructor
    from rlrecipe.assembly.learning import make_target_updater
    from rlrecipe.builders.frames import correct_for_frame_skip
    from rlrecipe.builders.losses import make_dqn_loss, make_loss
    from rlrecipe.builders.processes import parallel_env_constructor, sync_async_collector, sync_sync_collector
    from rlrecipe.builders.statistics import get_stats_random_rollout

#: The file of each name; ``make_trainer`` is the page that joins what the others make, one row above them.
_FILES = {
    "correct_for_frame_skip": "rlrecipe.builders.frames",
    "get_stats_random_rollout": "rlrecipe.builders.statistics",
    "make_collector_offpolicy": "rlrecipe.assembly.collecting",
    "make_collector_onpolicy": "rlrecipe.assembly.collecting",
    "make_dqn_loss": "rlrecipe.builders.losses",
    "make_loss": "rlrecipe.builders.losses",
    "make_replay_buffer": "rlrecipe.assembly.collecting",
    "make_target_updater": "rlrecipe.assembly.learning",
    "make_trainer": "rlrecipe.assembly.assemble",
    "parallel_env_constructor": "rlrecipe.builders.processes",
    "sync_async_collector": "rlrecipe.builders.processes",
    "sync_sync_collector": "rlrecipe.builders.processes",
    "transformed_env_constructor": "rlrecipe.assembly.constructors",
}
__all__ = [
    "correct_for_frame_skip",
    "get_stats_random_rollout",
    "make_collector_offpolicy",
    "make_collector_onpolicy",
    "make_dqn_loss",
    "make_loss",
    "make_replay_buffer",
    "make_target_updater",
    "make_trainer",
    "parallel_env_constructor",
    "sync_async_collector",
    "sync_sync_collector",
    "transformed_env_constructor",
]


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_FILES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
