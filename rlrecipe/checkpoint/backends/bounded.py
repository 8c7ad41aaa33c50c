"""Reading what anybody may have written: nothing is allocated that the bytes at hand do not account for."""

from __future__ import annotations

import io
import json
import math
import pickletools
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

#: Bytes of a JSON file and values in it. A value of Python's takes 50 bytes and more, and may be written with two.
MOST_BYTES, MOST_VALUES = 1 << 28, 2_000_000
#: Types of storages as torch.save names them.
_STORAGES = {
    **{f"{kind}Storage": dtype for kind, dtype in {
        "Float": torch.float32, "Double": torch.float64, "Half": torch.float16, "BFloat16": torch.bfloat16,
        "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
        "Bool": torch.bool, "ComplexFloat": torch.complex64, "ComplexDouble": torch.complex128,
    }.items()},
    "UntypedStorage": torch.uint8,
}  # fmt: skip
_DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (torch.uint16, torch.uint32, torch.uint64)}


def parse(content: bytes, most: int = MOST_VALUES) -> Any:
    """The value of a JSON document.

    Raises:
        ValueError: it is none, holds NaN or infinity, or more than ``most`` values.
        RecursionError: it is nested too deeply.
    """
    # Each value but the first follows one of these; those inside text make the bound only safer.
    values = sum(map(content.count, (b",", b"[", b"{", b":")))
    if len(content) > MOST_BYTES or values > most:
        raise ValueError(f"{len(content):,} bytes with some {values:,} values, expected at most {most:,}")
    return json.loads(content, parse_constant=_no_number)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def unpack_torch(content: bytes) -> Any:
    """What torch.save wrote of mappings, lists, texts, numbers and tensors.

    The pickle inside is not executed: its operations are read one by one, and only those that build such values are
    known. torch.load(weights_only=True) reads the same, but trusts sizes and strides that the file claims.

    Raises:
        ValueError: it holds anything else, or tensors that its bytes do not hold.
    """
    try:
        return _unpack(content)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ValueError(f"it is no archive that torch.save wrote: {error}") from None


def _unpack(content: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        if sum(entry.file_size for entry in archive.infolist()) > len(content):
            raise ValueError("its entries are larger than the file")
        for entry in entries.values():
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{entry.filename} is compressed, which torch.save does not do")
        root = next((name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")), None)
        if root is None:
            raise ValueError("it holds no data.pkl")
        folder = root.removesuffix("data.pkl")
        if f"{folder}byteorder" in entries and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("it was written with another byte order")

        def storage(key: str) -> bytes:
            return archive.read(entries[f"{folder}data/{key}"])

        try:
            return _Reader(storage).read(archive.read(root))
        except (IndexError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"data.pkl is no pickle of mappings and tensors: {error!r}") from None


class _Storage:
    """Numbers of one type, in bytes of the file."""

    def __init__(self, content: bytearray, dtype: torch.dtype) -> None:
        self.content, self.dtype = content, dtype


class _Reader:
    """The stack of a pickle without its calls."""

    def __init__(self, storage: Callable[[str], bytes]) -> None:
        self._storage = storage
        self._read: dict[str, bytearray] = {}
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def read(self, pickle: bytes) -> Any:
        """The value that a pickle describes."""
        for operation, argument, _ in pickletools.genops(pickle):
            if operation.name == "STOP":
                (value,) = self._stack
                return value
            self._do(operation.name, argument)
        raise ValueError("data.pkl does not end")

    def _do(self, name: str, argument: Any) -> None:
        stack = self._stack
        match name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                self._marks.append(len(stack))
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "BINUNICODE" | "SHORT_BINUNICODE" | "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT":
                stack.append(argument)
            case "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                self._memo[len(self._memo) if argument is None else argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "GLOBAL":
                stack.append(_known(argument))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack[-int(name[-1]) :] = [tuple(stack[-int(name[-1]) :])]
            case "TUPLE":
                self._push(tuple(self._marked()))
            case "SETITEM":
                stack[-3][stack[-2]] = stack[-1]
                del stack[-2:]
            case "SETITEMS":
                items = self._marked()
                stack[-1].update(zip(items[::2], items[1::2], strict=True))
            case "APPEND":
                item = stack.pop()
                stack[-1].append(item)
            case "APPENDS":
                items = self._marked()
                stack[-1].extend(items)
            case "BINPERSID":
                self._push(self._stored(stack.pop()))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                self._push(function(*arguments))
            case _:
                raise ValueError(f"data.pkl holds the operation {name}, which torch.save needs for no tensor")

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _marked(self) -> list[Any]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _stored(self, described: Any) -> _Storage:
        kind, dtype, key, _, count = described
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise ValueError(f"data.pkl refers to {kind!r}, expected a storage")
        if key not in self._read:
            self._read[key] = bytearray(self._storage(key))
        if len(self._read[key]) != count * dtype.itemsize:
            raise ValueError(f"the storage {key} has {len(self._read[key])} bytes, expected {count * dtype.itemsize}")
        return _Storage(self._read[key], dtype)


def _known(name: str) -> Any:
    """What a pickle of tensors may refer to."""
    module, _, attribute = name.partition(" ")
    if name in ("torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor_v3"):
        return _tensor
    if name == "collections OrderedDict":
        return dict
    if module in ("torch", "torch.storage") and attribute in _STORAGES:
        return _STORAGES[attribute]
    if module == "torch" and attribute in _DTYPES:
        return _DTYPES[attribute]
    raise ValueError(f"data.pkl refers to {name.replace(' ', '.')}, which is no part of a tensor")


def _tensor(storage: _Storage, offset: int, shape: Any, stride: Any, _grad: bool, _hooks: Any, *more: Any) -> Any:
    dtype = next((each for each in more if isinstance(each, torch.dtype)), storage.dtype)
    count = math.prod(shape)
    dense = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    if any(size < 0 for size in shape) or (
        count and any(n > 1 and s != d for n, s, d in zip(shape, stride, dense, strict=True))
    ):
        raise ValueError(f"a tensor of shape {tuple(shape)} has the strides {tuple(stride)}, expected {tuple(dense)}")
    if offset < 0 or (offset + count) * dtype.itemsize > len(storage.content):
        raise ValueError(f"a tensor of shape {tuple(shape)} is larger than its storage")
    if not count:
        return torch.empty(tuple(shape), dtype=dtype)
    return torch.frombuffer(storage.content, dtype=dtype, count=count, offset=offset * dtype.itemsize).reshape(shape)


def tensors_of(groups: Any, *names: str) -> Iterator[Mapping[str, torch.Tensor]]:
    """Groups of tensors by name.

    Raises:
        ValueError: a group is not there, or holds anything else.
    """
    for name in names:
        group = groups.get(name) if isinstance(groups, dict) else None
        if not isinstance(group, dict) or not all(
            isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in group.items()
        ):
            raise ValueError(f"it holds no tensors named {name}")
        yield group
