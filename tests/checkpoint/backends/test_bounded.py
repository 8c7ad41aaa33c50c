"""What anybody may have written is read within its own bytes."""

import io
import json
import pickle
import zipfile
from typing import Any

import pytest
import torch

from rlrecipe.checkpoint.backends.bounded import parse, tensors_of, unpack_torch


def saved(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


DTYPES = (
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.complex64, torch.uint16, torch.uint32, torch.uint64,
)  # fmt: skip


def test_it_reads_what_torch_saves() -> None:
    shapes = ((), (0,), (3,), (2, 3), (1, 0, 2), (0, 3))
    tensors = {f"{dtype} {shape}": torch.ones(shape).to(dtype) for dtype in DTYPES for shape in shapes}
    large = torch.arange(24.0)
    tensors |= {"view": large.view(4, 6)[1:3], "all": large, "a": torch.randn(5)}
    value = {"policy": tensors, "state": {}, "text": "é", "list": [1, 2.5, None, True, -7, 2**40], "tuple": (1, "x")}
    read = unpack_torch(saved(value))
    assert {key: read[key] for key in ("text", "list", "tuple")} == {
        key: value[key] for key in ("text", "list", "tuple")
    }
    assert read["policy"].keys() == tensors.keys()
    for name, tensor in tensors.items():
        found = read["policy"][name]
        assert found.dtype == tensor.dtype, name
        assert torch.equal(found, tensor), name


def test_many_values_are_read() -> None:
    tensors = {f"layer.{i}.weight": torch.full((2,), float(i)) for i in range(1500)}
    (read,) = tensors_of(unpack_torch(saved({"tensors": tensors})), "tensors")
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())


def archive(entries: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as written:
        for name, content in entries.items():
            written.writestr(name, content)
    return file.getvalue()


def repacked(content: bytes, name: str, change: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as given:
        entries = {entry: given.read(entry) for entry in given.namelist()}
    return archive({**entries, next(entry for entry in entries if entry.endswith(name)): change})


class Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return (bytearray, (10**12,))


HOSTILE = {
    "stride 0": (saved({"x": torch.zeros(1).expand(10**11)}), "has the strides"),
    "strides of its own": (saved({"x": torch.zeros(2, 3).T}), "has the strides"),
    "a zip bomb": (archive({"x/data.pkl": bytes(10**7)}, zipfile.ZIP_DEFLATED), "larger than the file|compressed"),
    "a function": (archive({"x/data.pkl": pickle.dumps(Runs(), 2)}), r"bytearray, which is no part of a tensor"),
    "a storage that is shorter": (
        repacked(saved({"x": torch.zeros(9)}), "data/0", bytes(4)),
        "has 4 bytes, expected 36",
    ),
    "another byte order": (repacked(saved({"x": torch.zeros(9)}), "byteorder", b"big"), "byte order"),
    "no pickle": (archive({"x/version": b"3"}), "no data.pkl"),
    "half a pickle": (repacked(saved({"x": 1}), "data.pkl", b"\x80\x02}"), "does not end|exhausted"),
    "a huge number for a memo": (archive({"x/data.pkl": b"\x80\x02}r\xff\xff\xff\x7f0."}), "POP"),
    "no archive": (b"PK\x03\x04" + bytes(100), "no archive"),
    "a pickle of old": (pickle.dumps({"x": 1}, 2), "no archive"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_claims_more_than_it_holds_is_refused(case: str) -> None:
    content, reason = HOSTILE[case]
    with pytest.raises(ValueError, match=reason):
        unpack_torch(content)


@pytest.mark.parametrize("groups", [None, [], {"policy": []}, {"policy": {"x": 1}}, {"policy": {1: torch.zeros(1)}}])
def test_a_group_holds_tensors_by_name(groups: Any) -> None:
    with pytest.raises(ValueError, match="no tensors named policy"):
        list(tensors_of(groups, "policy"))


def test_json_is_as_large_as_its_values() -> None:
    assert parse(b'{"a": [1, null, "x,y"]}') == {"a": [1, None, "x,y"]}
    assert len(parse(json.dumps("x" * 10**7).encode())) == 10**7
    for content in (b"[" + b"[]," * 30_000_000 + b"[]]", b"{" + b'"":{},' * 3_000_000 + b"}"):
        with pytest.raises(ValueError, match="values, expected at most 2,000,000"):
            parse(content)


@pytest.mark.parametrize("content", [b"[NaN]", b"[-Infinity]", b"", b"[1", b"\xff", b"1" * 10_000])
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(content)


def test_deep_json_is_refused() -> None:
    with pytest.raises((ValueError, RecursionError)):
        parse(b"[" * 200_000)
