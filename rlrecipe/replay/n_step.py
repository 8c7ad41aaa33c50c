"""n-step returns (Sutton and Barto, 2018, equation 7.1)."""

from __future__ import annotations

from collections.abc import Callable

from rlrecipe.lazy import np
from rlrecipe.replay.ring import REWARD, Ring


class NStep:
    """Rewards of up to n steps, cut after a step that ended its episode and after the newest one.

    Args:
        ring: the rows.
        n: steps at most.
        gamma: discount of each.
        reward: what learning sees of rewards.
    """

    def __init__(self, ring: Ring, n: int, gamma: float, reward: Callable[[np.ndarray], np.ndarray]) -> None:
        self.ring, self.n, self.reward = ring, n, reward
        self.powers = float(gamma) ** np.arange(n + 1)

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of rows ``[B]``: the rows of the last step, the discounted sums of rewards, gamma**k after k steps."""
        ring, step = self.ring, np.arange(self.n)[:, None]
        newest = (ring.total - 1) % ring.steps
        # Steps of the ring that are newer than each row: beyond the newest one lies the oldest.
        newer = (newest - rows // ring.num_envs) % ring.steps
        ahead = (rows + step * ring.num_envs) % (ring.steps * ring.num_envs)
        ends = ring.rows["next", "terminated"].take(ahead[:-1]) | ring.rows["next", "truncated"].take(ahead[:-1])
        going = np.ones(ahead.shape, np.bool_)
        going[1:] = ~ends & (step[1:] <= newer)
        np.logical_and.accumulate(going, axis=0, out=going)
        count = going.sum(0)
        # Summed in float64; a row that is not part of the return may hold anything.
        reward = (np.where(going, self.reward(ring.rows[REWARD].take(ahead)), 0.0) * self.powers[: self.n, None]).sum(0)
        last = ahead[count - 1, np.arange(len(rows))]
        return last, reward.astype(ring.rows[REWARD].dtype), self.powers[count].astype(np.float32)
