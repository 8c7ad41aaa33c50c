"""sbx: stable-baselines3's interface over JAX, every update compiled."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.meter import Counts, Meter, Options, main
from benchmarks.peers.sb3 import train
from benchmarks.sb3_run import build
from benchmarks.work import SPEED


def run(options: Options, meter: Meter) -> Counts:
    """Train a card with sbx."""
    import jax
    import sbx

    model = build(SPEED[options.card].card, options.seed, sbx)
    found: list[Any] = [getattr(model.policy, name, None) for name in ("actor_state", "vf_state", "qf_state")]
    states = [state for state in found if state is not None]

    def updates() -> int:
        # States are replaced at each step: look again.
        now = [getattr(model.policy, name, None) for name in ("qf_state", "actor_state")]
        return int(next(state.step for state in now if state is not None))

    train(model, options.card, options, meter, updates)
    sizes = [leaf.size for state in states for leaf in jax.tree_util.tree_leaves(state.params)]
    temperature = getattr(model, "ent_coef_state", None)
    return Counts(model.num_timesteps, updates(), model.batch_size, sum(sizes) + (temperature is not None))


if __name__ == "__main__":
    main(run, ("sbx-rl", "jax", "gymnasium", "numpy"), lambda card: SPEED[card].work.total_frames)
