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
from benchmarks.episodes import returns_of

PACKAGES = ("stable-baselines3", "torch", "gymnasium", "numpy")


def build(card: Card, seed: int) -> Any:
    """The untrained PPO of ``card``."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    return PPO(
        "MlpPolicy",
        make_vec_env(card.env_id, n_envs=card.num_envs, seed=seed),
        learning_rate=card.learning_rate,
        clip_range=card.clip_range,
        n_steps=card.n_steps,
        batch_size=card.batch_size,
        n_epochs=card.epochs,
        gamma=card.gamma,
        gae_lambda=card.gae_lambda,
        ent_coef=card.entropy_coeff,
        seed=seed,
        device="cpu",
    )


def optimizer_steps(model: Any) -> int:
    """Updates as the optimizer counted them (stable-baselines3's own counter counts epochs)."""
    return int(next(iter(model.policy.optimizer.state.values()))["step"])


def run(card: Card, seed: int, threads: int, out: Path, episodes: int) -> dict[str, Any]:
    """Trains, saves to ``out/model.zip`` and evaluates (not at all with 0 ``episodes``)."""
    started = time.perf_counter()
    import torch

    torch.set_num_threads(threads)
    model = build(card, seed)
    ready = time.perf_counter()
    model.learn(total_timesteps=card.total_frames)
    trained = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    model.save(out / "model.zip")
    row: dict[str, Any] = {
        "card": card.name,
        "library": "sb3",
        "seed": seed,
        "threads": threads,
        "frames": model.num_timesteps,
        "updates": optimizer_steps(model),
        "start_seconds": round(ready - started, 3),
        "train_seconds": round(trained - ready, 3),
        "versions": {name: version(name) for name in PACKAGES},
    }
    if episodes:
        import numpy as np

        returns = np.array(returns_of(lambda seen: model.predict(seen, deterministic=True)[0], card.env_id, episodes))
        row |= {"eval_episodes": episodes, "eval_return_mean": float(returns.mean())}
        row |= {"eval_return_std": float(returns.std())}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("card", choices=CARDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights")
    parser.add_argument("--episodes", type=int, default=100, help="of the evaluation; 0 skips it")
    options = parser.parse_args()
    row = run(CARDS[options.card], options.seed, options.threads, options.out, options.episodes)
    print(json.dumps(row))


if __name__ == "__main__":
    main()
