"""Generalised advantage estimation."""

from __future__ import annotations

from collections.abc import Callable

from rlrecipe.interfaces import Batch
from rlrecipe.lazy import np, torch


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


def add_advantages(
    batch: Batch, value: Callable[[torch.Tensor], torch.Tensor], *, gamma: float, lmbda: float
) -> torch.Tensor:
    """Add ``state_value`` of both observations, ``advantage`` and ``value_target``, with the values of collection time.

    Computed once a batch and for all rows together: cheaper than a little at every step.

    Args:
        batch: collected, ``[T, N, ...]``.
        value: from observations ``[B, n]`` to values ``[B, 1]``.
        gamma: discount factor.
        lmbda: decay of the trace.

    Returns:
        The observations as rows ``[T * N, n]``.
    """
    observation, final = batch["observation"], batch["next", "observation"]
    steps, rows = observation.shape[:2], observation.shape[0] * observation.shape[1]
    flat = observation.reshape(rows, -1)
    with torch.no_grad():
        now, later = value(torch.cat([flat, final.reshape(rows, -1)])).reshape(2, *steps)
    ends = batch["next", "terminated"], batch["next", "done"]
    reward, *rest = (x.cpu().numpy() for x in (batch["next", "reward"], now, later, *ends))
    advantage = torch.from_numpy(gae(reward, *rest, gamma=gamma, lmbda=lmbda)).to(now.device)
    batch["state_value"], batch["next", "state_value"], batch["advantage"] = now, later, advantage
    batch["value_target"] = advantage + now
    return flat
