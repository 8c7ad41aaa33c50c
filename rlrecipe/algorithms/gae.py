"""Generalised advantage estimation."""

from __future__ import annotations

from rlrecipe.lazy import np


def gae(
    reward: np.ndarray,
    value: np.ndarray,
    next_value: np.ndarray,
    terminated: np.ndarray,
    done: np.ndarray,
    *,
    gamma: float,
    lmbda: float,
) -> np.ndarray:
    """Advantages of a batch (Schulman et al., 2016, equation 16).

    A terminated step has no future; a truncated one bootstraps from the value of its true next
    observation; the trace is cut at both.

    Args:
        reward: ``[T, N]``.
        value: values of the observations, ``[T, N]``.
        next_value: values of the true next observations, final ones included, ``[T, N]``.
        terminated: whether the episode ended in the environment's own terms, ``[T, N]``.
        done: whether it ended at all, ``[T, N]``.
        gamma: discount factor.
        lmbda: decay of the trace.

    Returns:
        Advantages ``[T, N]``.
    """
    delta: np.ndarray = reward + gamma * next_value * ~terminated - value
    decay = (gamma * lmbda * ~done).astype(delta.dtype)
    advantage: np.ndarray = np.empty_like(delta)
    trace = np.zeros_like(delta[0])
    for t in range(len(delta) - 1, -1, -1):
        trace = delta[t] + decay[t] * trace
        advantage[t] = trace
    return advantage
