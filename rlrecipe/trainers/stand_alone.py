"""What a trainer in Python has besides the loop: rows, a file that it is saved to, and an end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from rlrecipe.checkpoint.fit import UnfitState, taking_up
from rlrecipe.checkpoint.single import read, write
from rlrecipe.clock import Alarm
from rlrecipe.errors import Refusal
from rlrecipe.loop.loop import FrozenState
from rlrecipe.recipe.schema import Backend
from rlrecipe.recipe.values import Duration
from rlrecipe.torchrl.loop import AsTorchRL
from rlrecipe.torchrl.objects import Closes, ShutsDown
from rlrecipe.trainers.rows import Rows


class StandAlone(AsTorchRL):
    """A loop without a run directory around it: it writes its own rows and saves itself."""

    def _stand_alone(
        self,
        *,
        logger: Any,
        progress_bar: bool,
        log_interval: Any,
        save_trainer_interval: Any,
        save_trainer_file: str | Path | None,
    ) -> None:
        """Take up what every trainer in Python takes; called at the end of its ``__init__``."""
        loggers = logger if isinstance(logger, list | tuple) else [] if logger is None else [logger]
        self._rows = Rows(self, Duration.read(log_interval), loggers, progress_bar)
        self._saves = Alarm(Duration.read(save_trainer_interval), self.clock)
        self.save_trainer_file = None if save_trainer_file is None else Path(save_trainer_file)
        self.register_module("rows", self._rows)
        self.register_module("saves", self._saves)
        self.boundaries = [self._rows.boundary, self.save_trainer]
        self.is_shut_down = False

    @property
    def rows(self) -> list[dict[str, float]]:
        """Every row of this session: frames, updates, and means since the row before."""
        return self._rows.written

    def train(self) -> None:
        """Run the loop to its end, save where a file is given, and shut the collector down, also after an error.

        Raises:
            Refusal: the collector is shut down already.
        """
        if self.complete:
            return
        if self.is_shut_down:
            raise Refusal(
                "this trainer's collector is shut down; build a trainer anew and load_from_file what you saved"
            )
        self.interrupted = None
        try:
            with self._rows:
                super().train()
            if self.save_trainer_file is not None:
                self.save_trainer(force_save=True)
        except BaseException:
            self._close()
            raise
        if self.interrupted is None:
            self.shutdown()

    def shutdown(self) -> None:
        """Shut the collector down: environments, worker processes. The trainer can still be saved."""
        if self.is_shut_down:
            return
        if "collector" in self.modules:
            self.modules["collector"] = FrozenState(self.modules["collector"].state_dict())
        self._close()

    def _close(self) -> None:
        self.is_shut_down = True
        if isinstance(self.collector, ShutsDown):
            self.collector.shutdown()
        elif isinstance(self.collector, Closes):
            self.collector.close()

    # -- the file

    def save_trainer(self, force_save: bool = False) -> None:
        """Write ``save_trainer_file`` if ``save_trainer_interval`` was crossed since the last time, or anyway.

        ``CKPT_BACKEND`` in the environment says how: ``torch`` (the default) and ``safetensors`` write a file,
        ``dcp`` a folder. It appears by one rename, and nothing in it is a pickle of anything but tensors.

        Raises:
            Refusal: it shall be written and there is no file, or ``CKPT_BACKEND`` is none that there is.
            TypeError: a module's state holds what cannot be saved; the message says which and where.
        """
        if self.save_trainer_file is None:
            if force_save:
                raise Refusal('there is no file to save to; build the trainer with save_trainer_file="trainer.pt"')
            return
        if self._saves.fires() or force_save:
            write(self.save_trainer_file, self.state_dict(), _backend())

    def load_from_file(self, file: str | Path) -> Self:
        """Go on from what ``save_trainer`` wrote, whatever its backend.

        Raises:
            FileNotFoundError: there is no such file.
            DamagedFile: it is damaged, or was written by something else.
            UnfitState: it was saved by a trainer with other networks, or holds no state of one.
            KeyError: it was saved by a trainer with other modules.
        """
        state = read(Path(file))
        if not isinstance(state, dict):
            raise UnfitState(f"{file} holds no modules")
        if state.keys() != self.modules.keys():
            # Not the file's fault: which modules differ is said.
            self.load_state_dict(state)
        with taking_up(file):
            self.load_state_dict(state)
        return self


def _backend() -> str:
    try:
        name: str = TypeAdapter(Backend).validate_python(os.environ.get("CKPT_BACKEND", "torch"))
    except ValidationError as error:
        raise Refusal(f"CKPT_BACKEND: {error.errors()[0]['msg']}") from None
    return name
