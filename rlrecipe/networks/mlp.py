"""Multi-layer perceptron."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from pydantic import Field

from rlrecipe.errors import UnbuildableError
from rlrecipe.interfaces import Encoder, Entry, Network
from rlrecipe.lazy import np, torch
from rlrecipe.networks.base import NetworkOptions, refuse_pixels
from rlrecipe.recipe.options import MOST, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import NetworkTraits

Activation = Literal["tanh", "relu", "elu", "gelu", "silu", "identity"]


class MLPOptions(NetworkOptions):
    """Fully connected layers; acts in numpy when plain, which is fastest for small ones."""

    num_cells: list[Annotated[int, Field(gt=0)]] = option([64, 64], "Width of each hidden layer.", max_length=MOST)
    activation: Activation = option("tanh", "Function after each hidden layer.")
    init: Literal["orthogonal", "default"] = option(
        "orthogonal", "Initial weights: orthogonal with zero biases, or the default of torch's Linear."
    )
    layer_norm: bool = option(False, "Normalise each hidden layer before its activation; acts in torch then.")


class MLP:
    """``Linear -> [LayerNorm] -> activation`` for each hidden layer, then ``Linear``.

    Weights are ``[out, in]`` under the layer's index, as in torch: ``0.weight``, ``0.bias``, ...

    Args:
        sizes: features from input to output.
        head_gain: scale of the last layer's orthogonal weights.
    """

    #: Takes parameters of several copies, stacked along a first dimension, and gives ``[copies, B, out]``.
    stacks = True

    def __init__(self, options: MLPOptions, sizes: list[int], head_gain: float) -> None:
        self.options, self.sizes, self.head_gain = options, sizes, head_gain
        self.layers = len(sizes) - 1
        #: Layers with an activation.
        self.hidden = self.layers - 1

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Initial parameters. Orthogonal: gain sqrt(2) for hidden layers (Saxe et al., 2014)."""
        tensors: dict[str, torch.Tensor] = {}
        for i, (fan_in, fan_out) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            weight, bias = torch.empty(fan_out, fan_in), torch.zeros(fan_out)
            if self.options.init == "orthogonal":
                gain = self.head_gain if i == self.hidden else math.sqrt(2)
                torch.nn.init.orthogonal_(weight, gain, generator=generator)
            else:
                bound = 1 / math.sqrt(fan_in)
                weight.uniform_(-bound, bound, generator=generator)
                bias.uniform_(-bound, bound, generator=generator)
            tensors[f"{i}.weight"], tensors[f"{i}.bias"] = weight, bias
            if self.options.layer_norm and i < self.hidden:
                tensors[f"{i}.norm.weight"], tensors[f"{i}.norm.bias"] = (
                    torch.ones(fan_out),
                    torch.zeros(fan_out),
                )
        return tensors

    def __call__(self, params: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Outputs ``[B, out]`` of inputs ``[B, in]``; with stacked parameters ``[copies, B, out]``."""
        copies = len(params["0.weight"]) if params["0.weight"].dim() == 3 else 0
        if copies:
            # Features before rows: only then do the gradients of [copies, out, in] weights come out contiguous.
            x = x.mT.expand(copies, *x.mT.shape)
        for i in range(self.layers):
            weight, bias = params[f"{i}.weight"], params[f"{i}.bias"]
            x = torch.baddbmm(bias.unsqueeze(2), weight, x) if copies else torch.nn.functional.linear(x, weight, bias)
            if i < self.hidden:
                if self.options.layer_norm:
                    x = _normalized(x, params[f"{i}.norm.weight"], params[f"{i}.norm.bias"])
                x = _activated(self.options.activation, x)
        return x.mT if copies else x

    def numpy(self, params: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray] | None:
        """The forward pass in numpy, for tanh and relu without layer norm."""
        if self.options.layer_norm or self.options.activation not in ("tanh", "relu"):
            return None
        weights = [params[f"{i}.weight"].T for i in range(self.layers)]
        biases = [params[f"{i}.bias"] for i in range(self.layers)]
        last = self.layers - 1
        tanh = self.options.activation == "tanh"

        def forward(x: np.ndarray) -> np.ndarray:
            for i in range(last):
                x = x @ weights[i]
                x += biases[i]
                # In place: the array belongs to this call.
                x = np.tanh(x, out=x) if tanh else np.maximum(x, 0.0, out=x)
            x = x @ weights[last]
            x += biases[last]
            return x

        return forward


class MLPEncoder(MLP):
    """The hidden layers alone, over the columns of some entries: features are what the last one gives."""

    def __init__(self, options: MLPOptions, entries: Mapping[str, Entry]) -> None:
        spans = [(entry.start, entry.stop) for entry in entries.values()]
        columns = sum(stop - start for start, stop in spans)
        super().__init__(options, [columns, *options.num_cells], head_gain=math.sqrt(2))
        self.hidden, self.features, self.spans = self.layers, options.num_cells[-1], spans

    def __call__(self, params: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Features ``[B, features]`` of rows ``[B, columns]``."""
        return super().__call__(params, torch.cat([x[:, start:stop] for start, stop in self.spans], -1))


def _normalized(x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Layer norm of ``[B, n]``, or of several copies with features first."""
    if scale.dim() == 1:
        return torch.nn.functional.layer_norm(x, scale.shape, scale, shift)
    return torch.nn.functional.layer_norm(x.mT, scale.shape[1:]).mT * scale.unsqueeze(2) + shift.unsqueeze(2)


def _activated(name: Activation, x: torch.Tensor) -> torch.Tensor:
    """The activation of a layer's own output: in place where its gradient needs the result only."""
    if name == "identity":
        return x
    activation: Callable[[torch.Tensor], torch.Tensor] = (
        getattr(torch, f"{name}_") if name in ("relu", "tanh") else getattr(torch.nn.functional, name)
    )
    return activation(x)


def make_mlp_encoder(options: MLPOptions, entries: Mapping[str, Entry]) -> Encoder:
    """The hidden layers of an MLP, where several networks share them or an entry has them for itself.

    Raises:
        UnbuildableError: there are no hidden layers, or an entry is an image.
    """
    if not options.num_cells:
        cure = "give it layers, such as [64], or remove the encoder"
        raise UnbuildableError(("num_cells",), "an encoder without layers gives what it reads", cure)
    refuse_pixels(options, entries, (), "use conv or nature_cnn; per_key has an encoder for each entry")
    return MLPEncoder(options, entries)


@register("network", "mlp", traits=NetworkTraits(encodes=make_mlp_encoder))
def make_mlp(options: MLPOptions, in_features: int, out_features: int, head_gain: float = 1.0) -> Network:
    """An MLP from ``in_features`` to ``out_features``."""
    return MLP(options, [in_features, *options.num_cells, out_features], head_gain)
