"""``--init-from``: a new run that begins with the weights and statistics of another one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlrecipe.assembly.assemble import Assembly
from rlrecipe.checkpoint.content import Checkpoint
from rlrecipe.checkpoint.store import CheckpointStore
from rlrecipe.errors import Refusal
from rlrecipe.interfaces import State
from rlrecipe.lazy import np
from rlrecipe.runs.changes import RefusedChange
from rlrecipe.state import standing
from rlrecipe.system.files import MOST_TEXT, read


@dataclass(frozen=True)
class Origin:
    """The checkpoint whose weights a run began with."""

    path: Path
    digest: str

    def checkpoint(self) -> Checkpoint | None:
        """It, if it is there and is the one that it was."""
        try:
            found = CheckpointStore(self.path.parent).load(self.path.name, pieces=False)
        except Refusal:
            return None
        return found if found.manifest["digest"] == self.digest else None


def origin_of(run_dir: Path) -> Origin | None:
    """What a run's provenance says of the weights that it began with; None if it began with its own."""
    try:
        told = json.loads(read(run_dir / "provenance.json", MOST_TEXT))["init_from"]
        return Origin(Path(told["checkpoint"]), str(told["digest"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def initialise(assembly: Assembly, start: Checkpoint, say: Callable[[str], None]) -> None:
    """Take weights and statistics over; counters, optimizer and random streams begin anew.

    Args:
        assembly: of the new run.
        start: of the run whose weights and statistics they are.
        say: takes a line for each normaliser that only one of the two has.

    Raises:
        RefusedChange: networks or statistics have other names or shapes; the message holds each of them.
    """
    misfits = [*_networks(assembly, start), *_statistics(assembly, start)]
    if misfits:
        raise RefusedChange(
            f"the weights of {start.folder} do not fit this recipe's networks:\n  "
            + "\n  ".join(misfits)
            + "\ngive both runs the same networks, normalisers and environment"
        )
    assembly.trainer.update.start_from(start.parameters)
    there = set(start.policy["statistics"])
    for name, transform in assembly.transforms.items():
        statistics = start.statistics(name)
        if statistics:
            transform.load_state_dict({**standing(transform), "statistics": statistics})
        elif "statistics" in standing(transform):
            say(f"warning: {start.folder} has no statistics for {name}: they begin anew")
    for name in sorted(there - assembly.transforms.keys()):
        if start.statistics(name):
            say(f"warning: the statistics of {name} in {start.folder} are left behind: this recipe has no {name}")


def _networks(assembly: Assembly, start: Checkpoint) -> Iterator[str]:
    """Parameters of the new run that the old one has not, or in another shape."""
    given = start.parameters
    for name, tensor in assembly.trainer.update.parameters.named().items():
        here = list(tensor.shape)
        if name not in given:
            yield f"{name} {here} is not there"
        elif list(given[name].shape) != here:
            yield f"{name} is {list(given[name].shape)} there and {here} here"


def _statistics(assembly: Assembly, start: Checkpoint) -> Iterator[str]:
    """Statistics that both have, in another shape."""
    for name, transform in assembly.transforms.items():
        there, here = _shapes(start.statistics(name)), _shapes(standing(transform).get("statistics", {}))
        for key in sorted(there.keys() | here.keys()) if there and here else ():
            if there.get(key) != here.get(key):
                yield f"the statistics of {name}: {key} is {there.get(key)} there and {here.get(key)} here"


def _shapes(state: State) -> dict[str, Any]:
    return {key: list(np.shape(value)) for key, value in state.items() if np.ndim(value) or np.isscalar(value)}
