"""Evaluates the policy while it trains, in environments of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from rlrecipe.clock import Alarm
from rlrecipe.errors import HookError
from rlrecipe.hooks.base import Hook, places
from rlrecipe.interfaces import Key, State
from rlrecipe.lazy import np
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.names import FILE_NAME, SHOWN
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.values import Duration

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop
    from rlrecipe.recipe.schema import Recipe

REWARD: Key = ("next", "reward")
#: What a transition of an evaluation has.
ENTRIES = ("observation", "action", *(("next", key) for key in ("observation", "reward", "terminated", "truncated")))


class LogValidationRewardOptions(Options):
    """Evaluate the policy now and then, and log its mean reward a frame and its mean return."""

    record_interval: int = option(10, "Batches between two evaluations; the first follows the first batch.", gt=0)
    every: Duration | None = option(None, "Evaluate when this is crossed instead; a number means frames.")
    episodes: int = option(10, "Episodes of each evaluation, with the same seeds each time.", gt=0)
    record_frames: int | None = option(None, "Most frames of each episode; null: to its end.", gt=0)
    frame_skip: int = option(1, "Steps of the environment in each frame; r_evaluation is divided by it.", gt=0)
    exploration_type: Literal["deterministic", "random"] = option(
        "deterministic", "The most probable actions, or drawn ones."
    )
    log_keys: Annotated[tuple[str | tuple[str, ...], ...], SHOWN] = option(
        (REWARD,), "Entries that are logged, as means over frames."
    )
    out_keys: Annotated[dict[str, str], FILE_NAME] = option(
        {"next.reward": "r_evaluation"},
        "Names in the logs by entry, its own joined by dots; total_<name> is of returns.",
    )
    suffix: Annotated[str | None, FILE_NAME] = option(None, "Appended to the names of videos.")
    log_pbar: bool = option(False, "Show the numbers on the progress bar, too.")
    video: bool | int = option(False, "Write the first episode as mp4: of each evaluation, or of every so many.", ge=0)


class LogValidationReward(Hook, options=LogValidationRewardOptions, point="post_steps_log"):
    """Rewards of the policy as it is; training's random numbers, statistics and environments stay out of it.

    Environments are kept open. Every evaluation has the same seeds, the hook's own, and environments without a past,
    so that a resumed run logs what the run would have logged that was never stopped.

    Args:
        policy_exploration: a policy of torchrl's, with ``environment``; None for the trainer's own.
        environment: an environment of torchrl's, which is rolled out for ``record_frames`` frames (1000 unless said).
    """

    category = "logging"
    reads_mapping = True
    observer = True

    def __init__(self, *values: Any, policy_exploration: Any = None, environment: Any = None, **named: Any) -> None:
        if (policy_exploration is None) != (environment is None):
            raise HookError("log_validation_reward: give both policy_exploration and environment, or neither")
        kind = named.get("exploration_type")
        if kind is not None and not isinstance(kind, str):
            # torchrl's enumeration; of the modes without chance, its environments know which one is meant.
            named["exploration_type"] = "random" if kind.name == "RANDOM" else "deterministic"
        named |= {"out_keys": _joined(named["out_keys"])} if named.get("out_keys") else {}
        super().__init__(*values, **{key: value for key, value in named.items() if value is not None})
        self.policy, self.environment, self.exploration = policy_exploration, environment, kind
        self.counter, self.evaluations, self.told = 0, 0, False
        self.alarm: Alarm | None = None

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Evaluate after a batch's updates.

        Raises:
            HookError: there is no environment to evaluate in, or no such entry.
        """
        name = name or self.usual_name
        self.trainer, self.name = trainer, name
        if self.options.every is not None:
            self.alarm = Alarm(self.options.every, trainer.clock)
        if self.environment is not None:
            from rlrecipe.torchrl.rollout import FRAMES, Rollout

            seed = int(trainer.streams.of_hook(name).integers(2**31))
            exploration = self.exploration or self.options.exploration_type
            frames = self.options.record_frames or FRAMES
            self.rollout = Rollout(self.environment, self.policy, exploration, frames, seed, self._say)
        else:
            self._open(trainer.streams.of(name))
        super().register(trainer, name)

    def _open(self, streams: Any) -> None:
        """What evaluates in the trainer's own kind of environment."""
        from rlrecipe.acting.evaluation import Evaluator
        from rlrecipe.recorders.mp4 import Filming

        if message := _unknown(self.options.log_keys):
            raise HookError(f"{self.name}: log_keys: {message}")
        if self.trainer.stage is None:
            raise HookError(f"{self.name}: this trainer has no environment to evaluate in; give policy_exploration and "
                            "environment, or set trainer.stage")  # fmt: skip
        self.filming = None
        if self.options.video:
            self.filming = Filming(self._say)
        self.evaluator = Evaluator(self.trainer.stage, streams, keep=True, camera=self.filming, say=self._say)
        self.trainer.register_op("shutdown", self.evaluator.close)

    def _say(self, line: str) -> None:
        self.trainer.say(f"{self.name}: {line}; training goes on")

    def __call__(self, batch: Any) -> dict[str, Any] | None:
        """The numbers, if it is time."""
        due = self.counter % self.options.record_interval == 0 if self.alarm is None else self.alarm.fires()
        self.counter += 1
        if not due:
            return None
        keys = list(map(_key, self.options.log_keys))
        if self.environment is not None:
            means, returned = self.rollout(keys, self.options.suffix)
        else:
            from rlrecipe.acting.evaluation import OccupiedError

            try:
                means, returned = self._evaluate(keys)
            except OccupiedError as error:
                self._cannot(error)
                return None
        self.evaluations += 1
        numbers = dict[str, Any]()
        for key, mean in means.items():
            name = self._out_key(key)
            numbers[name] = mean / self.options.frame_skip if key == REWARD else mean
            if key == REWARD:
                numbers[f"total_{name}"] = returned
        return {**numbers, "log_pbar": self.options.log_pbar}

    def _evaluate(self, keys: list[Key]) -> tuple[dict[Key, float], float]:
        """Means of some entries over all frames, and the mean return of the episodes."""
        options, further = self.options, [key for key in keys if key != REWARD]
        sums = dict.fromkeys(keys, 0.0)

        def watch(transition: Mapping[Key, Any]) -> None:
            for key in further:
                sums[key] += float(np.mean(transition[key]))

        self._film()
        try:
            deterministic = options.exploration_type == "deterministic"
            found = self.evaluator.run(
                options.episodes, deterministic, frames=options.record_frames, watch=watch if further else None
            )
        finally:
            if self.filming is not None:
                self.filming.finish()
        assert found is not None, "nothing interrupts this evaluation"
        sums |= {REWARD: sum(found.returns)} if REWARD in keys else {}
        return {key: total / sum(found.lengths) for key, total in sums.items()}, found.mean

    def _cannot(self, error: Exception) -> None:
        """Say, once, that nothing is evaluated while training goes on."""
        if not self.told:
            self._say(str(error))
        self.told = True

    def _out_key(self, key: Key) -> str:
        """An entry's name in the logs."""
        joined = key if isinstance(key, str) else ".".join(key)
        name: str = self.options.out_keys.get(joined, "r_evaluation" if key == REWARD else joined)
        return name

    def _film(self) -> None:
        """Let the first episode be filmed, if it is this evaluation's turn."""
        if self.filming is None or self.evaluations % int(self.options.video):
            return
        if self.trainer.folder is None:
            raise HookError(f"{self.name}: this trainer has no run directory to write videos to; set trainer.folder")
        parts = [self.name, f"{self.trainer.clock.moment:012d}", self.options.suffix]
        self.filming.start(self.trainer.folder / "videos" / ("-".join(filter(None, parts)) + ".mp4"))

    def state_dict(self) -> State:
        """Batches and evaluations so far, and statistics that torchrl's environment keeps."""
        alarm = None if self.alarm is None else self.alarm.state_dict()
        own = {} if self.environment is None else {"environment": dict(self.environment.state_dict())}
        return {"counter": self.counter, "evaluations": self.evaluations, "alarm": alarm, **own}

    def load_state_dict(self, state: State) -> None:
        """Go on counting."""
        self.counter, self.evaluations = state["counter"], state["evaluations"]
        if self.alarm is not None and state["alarm"] is not None:
            self.alarm.load_state_dict(state["alarm"])
        if self.environment is not None:
            self.environment.load_state_dict(state["environment"])


def _key(key: Any) -> Key:
    return key if isinstance(key, str) else tuple(key) if len(key) > 1 else str(key[0])


def _joined(out_keys: Mapping[Any, str]) -> dict[str, str]:
    return {key if isinstance(key, str) else ".".join(key): name for key, name in out_keys.items()}


def _unknown(keys: Iterable[Any]) -> str | None:
    """What is wrong with the entries that are asked for; None: they are all there."""
    unknown = [key for key in map(_key, keys) if key not in ENTRIES]
    return f"no entry {unknown[0]!r}; there are {', '.join(map(str, ENTRIES))}" if unknown else None


def check(recipe: Recipe) -> Iterable[Problem]:
    """Entries that are logged are those of an evaluation's transitions."""
    for place, options in places(recipe, "log_validation_reward"):
        if message := _unknown(options.log_keys):
            yield Problem("E302", (*place, "log_keys"), message)


@register("hook", "log_validation_reward", check=check)
def make_log_validation_reward(options: LogValidationRewardOptions) -> LogValidationReward:
    """An evaluation now and then."""
    return LogValidationReward.of(options)
