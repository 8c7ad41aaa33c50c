"""stable-baselines3 and sbx, which has its interface: ``make_vec_env``, ``learn``, ``save``."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.meter import Counts, Meter, Options, main
from benchmarks.sb3_run import build, optimizer_steps
from benchmarks.work import SPEED


def train(model: Any, card: str, options: Options, meter: Meter, updates: Any) -> None:
    """Learn and save."""

    def on_step(around: dict[str, Any], _: dict[str, Any]) -> bool:
        for info in around["infos"]:
            if "episode" in info:
                meter.episode(model.num_timesteps, float(info["episode"]["r"]))
        meter.frame(model.num_timesteps, updates)
        return True

    model.learn(total_timesteps=SPEED[card].work.total_frames, callback=on_step)
    model.save(options.out / "model.zip")


def run(options: Options, meter: Meter) -> Counts:
    """Train a card with stable-baselines3."""
    import torch

    torch.set_num_threads(options.threads)
    model = build(SPEED[options.card].card, options.seed)

    def updates() -> int:
        return max(optimizer_steps(model).values())

    train(model, options.card, options, meter, updates)
    learned = [*(p for n, p in model.policy.named_parameters() if "target" not in n)]
    temperature = getattr(model, "log_ent_coef", None)
    minibatch = getattr(model, "batch_size", None) or model.n_steps * model.n_envs
    parameters = sum(p.numel() for p in learned if p.requires_grad) + (temperature is not None)
    return Counts(model.num_timesteps, updates(), minibatch, parameters)


if __name__ == "__main__":
    main(run, ("stable-baselines3", "torch", "gymnasium", "numpy"), lambda card: SPEED[card].work.total_frames)
