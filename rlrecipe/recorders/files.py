"""TensorDicts as files that are read without unpickling code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlrecipe.lazy import torch
from rlrecipe.system.files import vacate


def write_tensordict(data: Any, path: str | Path) -> Path:
    """Write a TensorDict's tensors; the file is there under its name once it is whole.

    Raises:
        OSError: it cannot be written there.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = vacate(path.with_name(f".{path.name}.part"))
    # Copied: of a view, torch would write the whole of what it looks at.
    tensors = data.detach().cpu().clone().contiguous().to_dict()
    try:
        torch.save({"batch_size": list(data.batch_size), "tensors": tensors}, part)
    except RuntimeError as error:
        # torch's writer has one error for everything, a full disk included.
        part.unlink(missing_ok=True)
        raise OSError(str(error)) from error
    part.replace(path)
    return path


def read_tensordict(path: str | Path) -> Any:
    """The TensorDict of a file that ``write_tensordict`` wrote, on the CPU; nothing in the file is run.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged, or was written by something else.
    """
    from tensordict import TensorDict

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return TensorDict(content["tensors"], batch_size=content["batch_size"])
    except OSError:
        raise
    except Exception as error:
        # Torch reads what is no zip file as a pickle, and fails as that happens to end.
        reason = ": ".join([type(error).__name__, *str(error).partition(". ")[0].splitlines()[:1]])
        raise ValueError(
            f"{path} is damaged, or no file that write_tensordict wrote ({reason}); take another copy of it"
        ) from error
