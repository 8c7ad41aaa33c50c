"""Named random streams: each purpose draws from its own, so that none can move another.

A stream is ``SeedSequence([seed, stream, index])``. Seeds 0..9 with eight environments each share
nothing, which ``seed + i`` does not give; an evaluation or a hook that draws leaves training alone.
"""

from __future__ import annotations

import zlib
from enum import IntEnum

from rlrecipe.interfaces import State
from rlrecipe.lazy import np, torch


class Stream(IntEnum):
    """What random numbers are for. The numbers are part of a run's identity: never change one."""

    ENVIRONMENT = 1
    ACTION = 2
    SAMPLER = 3
    PERMUTATION = 4
    INITIALISATION = 5
    EVALUATION = 6
    HOOK = 7
    NOISE = 8
    ROLLOUT = 9


class Streams:
    """The random streams of one run; those that were opened are its state."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._open: dict[str, np.random.Generator] = {}

    def sequence(self, stream: Stream, index: int = 0) -> np.random.SeedSequence:
        """The seed of a stream."""
        return np.random.SeedSequence([self.seed, int(stream), index])

    def integer(self, stream: Stream, index: int = 0) -> int:
        """A stream's seed as one integer below 2**31, for what takes no more than that."""
        return int(self.sequence(stream, index).generate_state(1, np.uint32)[0] >> 1)

    def generator(self, stream: Stream, index: int = 0) -> np.random.Generator:
        """The stream's generator, the same one at every call; its position is saved."""
        key = f"{stream.name.lower()}.{index}"
        if key not in self._open:
            self._open[key] = np.random.Generator(np.random.PCG64(self.sequence(stream, index)))
        return self._open[key]

    def fresh(self, stream: Stream, index: int = 0) -> np.random.Generator:
        """A generator at the stream's beginning, not shared and not saved."""
        return np.random.Generator(np.random.PCG64(self.sequence(stream, index)))

    def of_hook(self, name: str) -> np.random.Generator:
        """A generator for the hook of this name, at its beginning; the hook keeps its position."""
        return self.fresh(Stream.HOOK, zlib.crc32(name.encode()))

    def of(self, name: str) -> Streams:
        """Streams of their own for the hook of this name, such as those of its evaluations."""
        return Streams(int(self.of_hook(name).integers(2**63)))

    def torch(self, stream: Stream, index: int = 0) -> torch.Generator:
        """A torch generator at the stream's beginning, for initialisation."""
        generator = torch.Generator()
        generator.manual_seed(self.integer(stream, index))
        return generator

    def begin_anew(self) -> None:
        """Put every stream that was opened to its beginning."""
        for key, generator in self._open.items():
            name, index = key.rsplit(".", 1)
            generator.bit_generator.state = self.fresh(Stream[name.upper()], int(index)).bit_generator.state

    def state_dict(self) -> State:
        """Where each stream stands."""
        return {key: generator.bit_generator.state for key, generator in self._open.items()}

    def load_state_dict(self, state: State) -> None:
        """Put each stream back to where it stood."""
        for key, position in state.items():
            name, index = key.rsplit(".", 1)
            self.generator(Stream[name.upper()], int(index)).bit_generator.state = position
