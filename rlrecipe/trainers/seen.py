"""What a trainer over torchrl's batches counts and remembers by itself: episodes, and the process's random numbers."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

from rlrecipe.interfaces import State


class Episodes:
    """Returns and lengths of episodes, added up over batches ``[..., T]`` of rewards and flags."""

    def __init__(self) -> None:
        self.returns, self.lengths = np.zeros(0), np.zeros(0, np.int64)

    def take(self, batch: Any, frames: int) -> list[tuple[int, float, int]]:
        """Frames, return and length of each episode that ended in a batch; none of what is no stretch of time."""
        keys = batch.keys(True)
        if ("next", "reward") not in keys or ("next", "done") not in keys or ("collector", "mask") in keys:
            return []
        steps = batch.batch_size[-1]
        reward = batch["next", "reward"].reshape(-1, steps, 1).sum(-1).double().cpu().numpy()
        done = batch["next", "done"].reshape(-1, steps, 1).any(-1).cpu().numpy()
        if len(self.returns) != len(reward):
            self.returns, self.lengths = np.zeros(len(reward)), np.zeros(len(reward), np.int64)
        ended = []
        for row in range(len(reward)):
            start = 0
            for end in np.flatnonzero(done[row]).tolist():
                value = self.returns[row] + reward[row, start : end + 1].sum()
                ended.append((frames, float(value), int(self.lengths[row]) + end + 1 - start))
                self.returns[row], self.lengths[row], start = 0.0, 0, end + 1
            self.returns[row] += reward[row, start:].sum()
            self.lengths[row] += steps - start
        return ended

    def state_dict(self) -> State:
        """Empty: torchrl's collectors start new episodes when a trainer is loaded."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Forget the episodes at hand."""
        self.returns = np.zeros(0)


class ProcessRandom:
    """The random numbers of Python, numpy and torch, from which torchrl's parts draw."""

    @staticmethod
    def seed(seed: int) -> None:
        """Start all of them anew."""
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)

    def state_dict(self) -> State:
        """Where each stands."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        python, numpy = random.getstate(), np.random.get_state()
        return {"python": python, "numpy": numpy, "torch": torch.get_rng_state(), "cuda": cuda}

    def load_state_dict(self, state: State) -> None:
        """Go on from there."""
        random.setstate(state["python"])
        np.random.set_state(state["numpy"])
        torch.set_rng_state(state["torch"])
        if state["cuda"]:
            torch.cuda.set_rng_state_all(state["cuda"])
