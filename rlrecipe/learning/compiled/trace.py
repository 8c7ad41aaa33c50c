"""Writing a function of tensors down as a program that torch's ahead-of-time compiler takes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing, get_proxy_mode, make_fx

from rlrecipe.learning.compiled.arithmetic import REPLACED
from rlrecipe.learning.compiled.fingerprint import UntraceableError


def separable() -> bool:
    """Whether this torch compiles parts of a program for themselves; 2.15 is the first that does."""
    return bool(torch.__version__ >= "2.15")


def apart(function: Callable[..., Any], name: str, *tensors: torch.Tensor) -> Any:
    """``function(*tensors)``; in a traced program a part that is compiled for itself.

    A compiler joins loops over the same data, and a sum in a joined loop may be added up in another order. What is
    compiled for itself has the same bits in whatever program it stands.
    """
    if get_proxy_mode() is None or not separable():
        return function(*tensors)
    from torch._higher_order_ops.invoke_subgraph import invoke_subgraph

    with disable_proxy_modes_tracing():
        graph = make_fx(function, REPLACED)(*(tensor.detach().clone() for tensor in tensors))
    given = []
    for tensor, node in zip(tensors, graph.graph.find_nodes(op="placeholder"), strict=True):
        if node.users:
            given.append(tensor)
        else:
            graph.graph.erase_node(node)
    graph.recompile()
    return invoke_subgraph(graph, name, *given)


def export(function: Callable[..., Any], inputs: Sequence[torch.Tensor], file: Path) -> None:
    """Trace a function of tensors, gradients inside, and write it down.

    Raises:
        UntraceableError: constants are left in it: what they stood for may change.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = make_fx(function, REPLACED)(*(tensor.detach().clone() for tensor in inputs))
        programs = [graph, *(child for child in graph.children() if isinstance(child, torch.fx.GraphModule))]
        constants = [node for program in programs for node in program.graph.find_nodes(op="get_attr")]
        if any(
            not isinstance(getattr(node.graph.owning_module, str(node.target)), torch.nn.Module) for node in constants
        ):
            raise UntraceableError("its trace holds constant tensors")
        torch.export.save(torch.export.export(graph, tuple(tensor.detach().clone() for tensor in inputs)), file)
