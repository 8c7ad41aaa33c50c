"""PPO and SAC as plain scripts of torch and gymnasium: what one writes who takes no library.

They are in the style of CleanRL: an algorithm is one file that is read from top to bottom.
"""

from __future__ import annotations

from importlib import import_module

from benchmarks.peers.meter import Counts, Meter, Options, main
from benchmarks.work import SPEED

SCRIPTS = {
    "ppo/cartpole": "single_file_ppo",
    "ppo/halfcheetah": "single_file_ppo",
    "sac/halfcheetah": "single_file_sac",
}


def run(options: Options, meter: Meter) -> Counts:
    """Train a card with the script of its algorithm."""
    if options.card not in SCRIPTS:
        raise SystemExit(f"{options.card}: no script of this algorithm is written here")
    # Not before: the meter times the import of torch, too.
    import torch

    torch.set_num_threads(options.threads)
    script = import_module(f"benchmarks.peers.{SCRIPTS[options.card]}")
    counts: Counts = script.train(SPEED[options.card].card, options, meter)
    return counts


if __name__ == "__main__":
    main(run, ("torch", "gymnasium", "numpy"), lambda card: SPEED[card].work.total_frames)
