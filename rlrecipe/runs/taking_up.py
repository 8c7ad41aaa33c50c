"""A session goes on from a checkpoint, or a run from the one before, where its state is none that the trainer has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from rlrecipe.checkpoint.content import Checkpoint
from rlrecipe.checkpoint.fit import UnfitState, misfit, taking_up
from rlrecipe.checkpoint.store import CheckpointStore
from rlrecipe.runs.transition import Transition
from rlrecipe.state import standing

if TYPE_CHECKING:
    from rlrecipe.runs.session import Session

#: Where our own classes are defined.
PACKAGE = "rlrecipe."
#: So many checkpoints that cannot be taken up, one after the other, are no damage any more.
MOST_UNFIT = 3
Ended = TypeVar("Ended")


def take_up(session: Session, checkpoint: Checkpoint) -> Transition | None:
    """Put everything to where a checkpoint was taken; what of it begins anew.

    Raises:
        DamagedCheckpoint: its state is none of this trainer; the session is of no more use.
    """
    trainer, state = session.trainer, checkpoint.state()
    with taking_up(checkpoint.folder):
        transition = Transition.from_session(checkpoint.session)
        if transition is not None:
            state = transition.adapted(state, trainer)
    if not isinstance(state, dict):
        raise UnfitState(f"{checkpoint.folder} cannot be taken up: its state holds no modules")
    for name, module in trainer.modules.items():
        # What belongs to the user's own hooks is theirs to judge.
        ours = type(module).__module__.startswith(PACKAGE)
        if ours and name in state and (found := misfit(standing(module), state[name], name)):
            raise UnfitState(f"{checkpoint.folder} cannot be taken up: {found}")
    with taking_up(checkpoint.folder):
        trainer.load_state_dict(state)
        seconds, files = checkpoint.session["seconds"], checkpoint.session["files"]
        session.clock.seconds_before = max(0.0, float(seconds))
        positions = {name: max(0, int(files[name])) for name in ("metrics.jsonl", "episodes.jsonl") if name in files}
    session.recorder.cut(positions)
    if transition is not None:
        with taking_up(checkpoint.folder):
            transition.apply(session)
    session.checkpoints.mark_best()
    return transition


def from_newest(
    store: CheckpointStore,
    newest: Checkpoint | None,
    train: Callable[[Checkpoint | None, Callable[[], None]], Ended],
    warn: Callable[[str], None],
    *,
    pieces: bool = True,
) -> Ended:
    """Train from the newest checkpoint that can be taken up.

    Args:
        store: the run's checkpoints.
        newest: where to begin.
        train: trains from a checkpoint; calls its second argument once that was taken up.
        warn: takes a line for each that could not be.
        pieces: as ``CheckpointStore.newest`` takes it.

    Raises:
        UnfitState: none of the newest three can be taken up; none was moved.
    """
    unfit: dict[str, UnfitState] = {}
    while True:
        name = newest.folder.name if newest is not None else ""
        # Only what an older one shows to be its own fault is moved aside.
        begun = partial(store.go_back_to, name, unfit, warn) if unfit else lambda: None
        try:
            return train(newest, begun)
        except UnfitState as error:
            unfit[name] = error
            newest = store.newest(warn, move=False, pieces=pieces, before=name) if len(unfit) < MOST_UNFIT else None
            if newest is None:
                raise
            warn(f"warning: {error}; trying the checkpoint before it")
