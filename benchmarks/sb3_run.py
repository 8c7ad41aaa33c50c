"""One process, one card, one seed with plain stable-baselines3; one JSON line on standard output.

``python -m benchmarks.sb3_run ppo/cartpole --seed 0 --threads 1 --out FOLDER``

The library is used as its documentation shows it: ``make_vec_env`` (environments one after the
other in this process), ``learn``, ``save``. It seeds environment ``i`` with ``seed + i``, so seeds
of runs that shall share nothing lie further apart than there are environments.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.cards import CARDS, Card
from benchmarks.curves import core_share, thinned
from benchmarks.episodes import returns_of

PACKAGES = ("stable-baselines3", "torch", "gymnasium", "numpy")
#: A process that waits this long between two frames is stopped (SIGSTOP), or as good as.
PAUSE = 2.0


class Clock:
    """Wall time, less that in which the process was stopped; to be asked at every frame."""

    def __init__(self) -> None:
        self.paused = 0.0
        self._begun = self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def __call__(self) -> float:
        """Seconds since the clock was made."""
        wall, cpu = time.perf_counter(), time.process_time()
        idle = (wall - self._wall) - (cpu - self._cpu)
        if idle > PAUSE:
            self.paused += idle
        self._wall, self._cpu = wall, cpu
        return wall - self._begun - self.paused


def build(card: Card, seed: int, library: Any = None) -> Any:
    """The untrained algorithm of ``card``, by stable-baselines3 or a library with its interface."""
    import numpy as np
    import stable_baselines3 as sb3
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.noise import NormalActionNoise

    env = make_vec_env(card.env_id, n_envs=card.peer.num_envs, seed=seed)
    options = dict(card.peer.options)
    if "action_noise" in options:
        mean = np.zeros(env.action_space.shape)
        options["action_noise"] = NormalActionNoise(mean, np.full_like(mean, options["action_noise"]))
    algorithm = getattr(library or sb3, card.algorithm.upper())
    return algorithm("MlpPolicy", env, seed=seed, device="cpu", **options)


def optimizer_steps(model: Any) -> dict[str, int]:
    """Steps as each optimizer counted them (stable-baselines3's own counter counts PPO's epochs)."""
    owners = {"policy": model.policy, "critic": getattr(model, "critic", None), "actor": getattr(model, "actor", None)}
    optimizers = {name: owner.optimizer for name, owner in owners.items() if hasattr(owner, "optimizer")}
    if (temperature := getattr(model, "ent_coef_optimizer", None)) is not None:
        optimizers["temperature"] = temperature
    return {
        name: int(next(iter(optimizer.state.values()), {"step": 0})["step"]) for name, optimizer in optimizers.items()
    }


def learn(model: Any, frames: int) -> tuple[list[tuple[int, float, float]], dict[str, float]]:
    """Trains; returns every episode (frames, seconds, return) and what the training took."""
    clock, cpu = Clock(), time.process_time()
    episodes: list[tuple[int, float, float]] = []

    def on_step(around: dict[str, Any], _: dict[str, Any]) -> bool:
        seconds = clock()
        ended = (info["episode"] for info in around["infos"] if "episode" in info)
        episodes.extend((model.num_timesteps, seconds, float(episode["r"])) for episode in ended)
        return True

    model.learn(total_timesteps=frames, callback=on_step)
    seconds, busy = clock(), time.process_time() - cpu
    took = {"train_seconds": round(seconds, 3), "paused_seconds": round(clock.paused, 3)}
    return episodes, {**took, "core_share": core_share(busy, seconds)}


def run(card: Card, seed: int, threads: int, out: Path, frames: int, eval_episodes: int) -> dict[str, Any]:
    """Trains, saves to ``out/model.zip`` and evaluates (not at all with 0 ``eval_episodes``)."""
    started = time.perf_counter()
    import torch

    torch.set_num_threads(threads)
    model = build(card, seed)
    ready = time.perf_counter()
    episodes, took = learn(model, frames)
    out.mkdir(parents=True, exist_ok=True)
    model.save(out / "model.zip")
    steps = optimizer_steps(model)
    row: dict[str, Any] = {
        "card": card.name,
        "library": "sb3",
        "seed": seed,
        "threads": threads,
        "frames": model.num_timesteps,
        "updates": max(steps.values()),
        "optimizer_steps": steps,
        "start_seconds": round(ready - started, 3),
        **took,
        "versions": {name: version(name) for name in PACKAGES},
        "curve": thinned(episodes, model.num_timesteps),
    }
    if eval_episodes:
        row |= evaluated(model, card.env_id, eval_episodes)
    return row


def evaluated(model: Any, env_id: str, episodes: int) -> dict[str, Any]:
    """What the final policy reaches without exploration."""
    import numpy as np

    returns = np.array(returns_of(lambda seen: model.predict(seen, deterministic=True)[0], env_id, episodes))
    mean, std = float(returns.mean()), float(returns.std())
    return {"eval_episodes": episodes, "eval_return_mean": mean, "eval_return_std": std}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("card", choices=[name for name, card in CARDS.items() if card.work])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights")
    parser.add_argument("--episodes", type=int, help="of the evaluation; 0 skips it; default: the card's")
    parser.add_argument("--frames", type=int, help="in place of the card's, to try it out")
    options = parser.parse_args()
    card = CARDS[options.card]
    episodes = card.eval_episodes if options.episodes is None else options.episodes
    frames = options.frames or card.peer.total_frames
    print(json.dumps(run(card, options.seed, options.threads, options.out, frames, episodes)))


if __name__ == "__main__":
    main()
