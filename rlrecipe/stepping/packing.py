"""Rows of numbers with their pictures as bytes: how they are kept, and how they are read again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rlrecipe.interfaces import Batch, Entry, Key
from rlrecipe.lazy import np, torch

#: Bytes of a number.
NUMBER = 4
#: Keys of a batch that hold observations.
OBSERVATIONS: tuple[Key, ...] = ("observation", ("next", "observation"))


class Packing:
    """The bytes of a row: all numbers, four bytes each, then all pictures; filled up to a multiple of four.

    Values are the same before and after: a picture's are whole numbers from 0 to 255.

    Attributes:
        width: columns of a row of numbers.
        size: bytes of a row.
        numbers: columns that belong to no picture.

    Args:
        entries: of the row, in the order of their columns.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        #: Neighbouring columns of one kind: first, one past the last, and whether they are a picture.
        self.spans: list[tuple[int, int, bool]] = []
        for entry in entries:
            start, stop = entry.start, entry.stop
            if self.spans and self.spans[-1][2] == entry.pixels:
                start = self.spans.pop()[0]
            self.spans.append((start, stop, entry.pixels))
        self.width = self.spans[-1][1]
        self.numbers = sum(stop - start for start, stop, pixels in self.spans if not pixels)
        self._end = NUMBER * self.numbers + self.width - self.numbers
        self.size = -(-self._end // NUMBER) * NUMBER

    def _places(self) -> Iterator[tuple[slice, slice, bool]]:
        """Columns of each span, and where they are: among the numbers, or among the row's bytes."""
        number, byte = 0, NUMBER * self.numbers
        for start, stop, pixels in self.spans:
            first = byte if pixels else number
            yield slice(start, stop), slice(first, first + stop - start), pixels
            if pixels:
                byte += stop - start
            else:
                number += stop - start

    def pack(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Write rows ``[..., width]`` as bytes ``[..., size]`` into ``out``, whose last dimension is contiguous."""
        numbers = out[..., : NUMBER * self.numbers].view(np.float32)
        for columns, place, pixels in self._places():
            (out if pixels else numbers)[..., place] = rows[..., columns]
        out[..., self._end :] = 0

    def unpack(self, packed: np.ndarray) -> np.ndarray:
        """Rows ``[..., width]`` of float32 of bytes ``[..., size]``."""
        rows = np.empty((*packed.shape[:-1], self.width), np.float32)
        numbers = packed[..., : NUMBER * self.numbers].view(np.float32)
        for columns, place, pixels in self._places():
            rows[..., columns] = (packed if pixels else numbers)[..., place]
        return rows

    def unpacked(self, packed: torch.Tensor) -> torch.Tensor:
        """The same of a tensor; one of another type holds rows of numbers already."""
        if packed.dtype != torch.uint8:
            return packed
        rows = torch.empty((*packed.shape[:-1], self.width), dtype=torch.float32, device=packed.device)
        numbers = self.numbers_of(packed)
        for columns, place, pixels in self._places():
            rows[..., columns] = (packed if pixels else numbers)[..., place]
        return rows

    def numbers_of(self, packed: torch.Tensor) -> torch.Tensor:
        """The numbers ``[..., numbers]`` of bytes alone, over the same memory."""
        return packed[..., : NUMBER * self.numbers].view(torch.float32)

    def holds(self, rows: np.ndarray) -> bool:
        """Whether the pictures of rows ``[..., width]`` are whole numbers from 0 to 255, which bytes can keep."""
        pictures = [rows[..., columns] for columns, _, pixels in self._places() if pixels]
        return all(bool(((each >= 0) & (each <= 255) & (each == np.floor(each))).all()) for each in pictures)


def unpacked(batch: Batch, packing: Packing) -> Batch:
    """A batch with the numbers of its observations where it has their bytes."""
    return {key: packing.unpacked(each) if key in OBSERVATIONS else each for key, each in batch.items()}
