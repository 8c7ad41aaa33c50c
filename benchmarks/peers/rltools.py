"""RLtools: the whole training loop in C++, compiled for a card by its first run and then kept.

Its environments are gymnasium's, called from C++. It needs MKL, which its documentation offers as an option: without,
plain loops multiply its matrices, and an update of SAC takes tens of times as long.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

from benchmarks.cards import Card
from benchmarks.peers.meter import Counts, Meter, Options, main
from benchmarks.work import SPEED

INTERFACE = "halfcheetah"
#: All hidden layers have one width; with this one TD3 learns about as many numbers as with 400 and 300.
TD3_WIDTH = 348
ONE_WIDTH = f"hidden layers of {TD3_WIDTH} and {TD3_WIDTH}, not of 400 and 300: it knows one width only"
LEARNED = re.compile(r"namespace (weights|biases) \{.*?Shape<[^,>]*, ([\d, ]+)>", re.DOTALL)


class Environment:
    """A gymnasium environment that counts what is done in it.

    Args:
        env: the environment.
        done: the frames done and the return of the running episode, shared by all copies.
        meter: told of every episode.
    """

    def __init__(self, env: Any, done: list[float], meter: Meter) -> None:
        self.env, self.done, self.meter, self.spec = env, done, meter, env.spec
        self.action_space, self.observation_space = env.action_space, env.observation_space

    def reset(self) -> Any:
        """Start an episode."""
        return self.env.reset()

    def step(self, action: Any) -> Any:
        """Take one step."""
        # Its PPO samples beyond the bounds.
        result = self.env.step(action.clip(-1.0, 1.0))
        self.done[0] += 1
        self.done[1] += float(result[1])
        if result[2] or result[3]:
            self.meter.episode(int(self.done[0]), self.done[1])
            self.done[1] = 0.0
        return result


def compiled(card: Card, factory: Any) -> Any:
    """The loop that does a card's work."""
    import rltools

    asked, frames = card.peer.options, card.peer.frames
    chosen: dict[str, Any] = {"enable_evaluation": False, "interface_name": INTERFACE}
    if card.algorithm == "ppo":
        chosen |= {"N_ENVIRONMENTS": card.peer.num_envs, "ON_POLICY_RUNNER_STEPS_PER_ENV": asked["n_steps"]}
        chosen |= {"BATCH_SIZE": asked["batch_size"], "N_EPOCHS": asked["n_epochs"]}
        chosen |= {"ACTOR_ACTIVATION_FUNCTION": "TANH", "CRITIC_ACTIVATION_FUNCTION": "TANH"}
        chosen |= {"GAMMA": asked["gamma"], "LAMBDA": asked["gae_lambda"], "ACTION_ENTROPY_COEFFICIENT": 0.0}
        chosen |= {"EPSILON_CLIP": asked["clip_range"].start, "INITIAL_ACTION_STD": 1.0}
        # It stops after the step past this number.
        chosen |= {"STEP_LIMIT": card.peer.batches - 1, "OPTIMIZER_ALPHA": asked["learning_rate"].start}
        return rltools.PPO(factory, **chosen)
    starts, rows = asked["learning_starts"], asked["batch_size"]
    chosen |= {"ACTOR_BATCH_SIZE": rows, "CRITIC_BATCH_SIZE": rows, "OPTIMIZER_ALPHA": asked["learning_rate"]}
    chosen |= {"REPLAY_BUFFER_CAP": min(frames, asked.get("buffer_size", frames))}
    if card.algorithm == "sac":
        width = asked["policy_kwargs"]["net_arch"][0]
        chosen |= {"ACTOR_HIDDEN_DIM": width, "CRITIC_HIDDEN_DIM": width, "ALPHA": 1.0}
        return rltools.SAC(factory, **chosen, N_WARMUP_STEPS=starts, STEP_LIMIT=frames)
    # Its template has no place for when updates begin (100 frames), but takes a text for the number before that.
    begins = "; ".join(
        [str(starts), *(f"static constexpr TI N_WARMUP_STEPS_{n} = {starts}" for n in ("CRITIC", "ACTOR"))]
    )
    chosen |= {
        "ACTOR_HIDDEN_DIM": TD3_WIDTH,
        "CRITIC_HIDDEN_DIM": TD3_WIDTH,
        "EXPLORATION_NOISE": asked["action_noise"],
    }
    return rltools.TD3(factory, **chosen, N_WARMUP_STEPS=begins, STEP_LIMIT=frames - 1)


class Constants:
    """The numbers that were compiled into a loop: it tells no others, so frames are counted in the environment."""

    def __init__(self, algorithm: str) -> None:
        import rltools

        folder = Path(rltools.CACHE_PATH) / "template" / f"rltools_{algorithm}_{INTERFACE}"
        self.text, self.ppo = (folder / "loop_core_config.h").read_text(), algorithm == "ppo"

    def __getitem__(self, name: str) -> int:
        found = re.search(rf"\b{name} = (\d+);", self.text)
        if found is None:
            raise KeyError(name)
        return int(found[1])

    @property
    def minibatch(self) -> int:
        """Rows of an update."""
        return self["BATCH_SIZE" if self.ppo else "CRITIC_BATCH_SIZE"]

    def updates(self, frames: int) -> int:
        """How many there have been after so many frames."""
        if not self.ppo:
            return max(0, frames - self["N_WARMUP_STEPS_CRITIC"])
        batch = self["N_ENVIRONMENTS"] * self["ON_POLICY_RUNNER_STEPS_PER_ENV"]
        return frames // batch * self["N_EPOCHS"] * (batch // self["BATCH_SIZE"])


def parameters(policy: str, algorithm: str) -> int:
    """How many numbers are learned: the policy's as it was saved, the critics' from its widths."""
    shapes = [[int(size) for size in sizes.split(",")] for _, sizes in LEARNED.findall(policy)]
    weights = [shape for shape in shapes if len(shape) == 2]
    observed, widths = weights[0][1], [shape[0] for shape in weights[:-1]]
    outputs = weights[-1][0]
    # SAC's policy has two outputs for an action.
    actions = outputs // 2 if algorithm == "sac" else outputs
    critics, inputs = (1, observed) if algorithm == "ppo" else (2, observed + actions)
    # The logarithms of PPO's standard deviations and of SAC's temperature are not saved.
    others = {"ppo": actions, "sac": 1}.get(algorithm, 0)
    critic = sum(fan_in * fan_out + fan_out for fan_in, fan_out in pairwise([inputs, *widths, 1]))
    return sum(prod(shape) for shape in shapes) + critics * critic + others


def run(options: Options, meter: Meter) -> Counts:
    """Train a card with RLtools."""
    if not options.card.endswith("/halfcheetah"):
        raise SystemExit(f"{options.card}: its Python interface takes environments with continuous actions only")
    try:
        version("mkl-include")
    except PackageNotFoundError:
        raise SystemExit("rltools needs the packages mkl and mkl-include to be worth a comparison") from None
    os.environ["MKL_NUM_THREADS"] = str(options.threads)
    # It writes to standard output from C++, too, up to the end of the process.
    standard = os.dup(1)
    os.dup2(2, 1)
    import gymnasium as gym

    card, done = SPEED[options.card].card, [0, 0.0]

    def factory() -> Environment:
        env = gym.make(card.env_id)
        env.reset(seed=options.seed)
        return Environment(env, done, meter)

    state = compiled(card, factory).State(options.seed)
    constants, finished = Constants(card.algorithm), False
    while not finished:
        finished = state.step()
        meter.frame(int(done[0]), lambda: constants.updates(int(done[0])))
    policy = state.export_policy()
    (options.out / "policy.h").write_text(policy)
    sys.stdout.flush()
    sys.stdout = os.fdopen(standard, "w")
    frames, learned = int(done[0]), parameters(policy, card.algorithm)
    differs = ONE_WIDTH if card.algorithm == "td3" else None
    exempt = ("parameters",) if differs else ()
    return Counts(frames, constants.updates(frames), constants.minibatch, learned, differs, exempt)


if __name__ == "__main__":
    main(run, ("rltools", "mkl", "gymnasium", "numpy"), lambda card: SPEED[card].work.total_frames)
