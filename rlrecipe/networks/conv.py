"""Convolutions over an image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from rlrecipe.errors import UnbuildableError
from rlrecipe.interfaces import Encoder, Entry
from rlrecipe.lazy import torch
from rlrecipe.networks.base import PICTURES, NetworkOptions
from rlrecipe.recipe.options import MOST, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import NetworkTraits

Size = Annotated[int, Field(gt=0)]


class ConvOptions(NetworkOptions):
    """Convolutions with relu over an image, flattened; bytes are divided by 255."""

    channels: list[Size] = option([32, 64, 64], "Channels of each convolution.", min_length=1, max_length=MOST)
    kernels: list[Size] | None = option(None, "Side of each kernel; null: 3 for all.")
    strides: list[Size] | None = option(None, "Step of each kernel: more shrink the image faster; null: 1 for all.")
    features: Size | None = option(None, "Width of a layer with relu after them; null: none, all numbers go on.")
    layout: Literal["auto", "channels_first", "channels_last"] = option(
        "auto", "Where an image's channels are; auto: in the smaller of its first and last dimension."
    )


class Conv:
    """``Conv2d -> relu`` for each, flattened, then ``Linear -> relu`` if features are asked for.

    Args:
        options: channels, kernels and strides, as many of each.
        entry: the image among an observation's entries.

    Raises:
        UnbuildableError: the entry is no image, or too small for the kernels.
    """

    def __init__(self, options: ConvOptions, entry: Entry) -> None:
        count = len(options.channels)
        self.kernels, self.strides = options.kernels or [3] * count, options.strides or [1] * count
        for name in ("kernels", "strides"):
            if len(getattr(self, name)) != count:
                message = f"{len(getattr(self, name))} {name} for {count} channels"
                raise UnbuildableError((name,), message, f"give as many {name} as channels, or leave them out")
        if len(entry.shape) not in (2, 3):
            message = f"expected an image of 2 or 3 dimensions, got an entry of the shape {entry.shape}"
            raise UnbuildableError(("name",), message, "name an image with inputs, or use mlp for vectors")
        self.options, self.entry = options, entry
        shape = entry.shape if len(entry.shape) == 3 else (1, *entry.shape)
        last = options.layout == "channels_last" or (options.layout == "auto" and shape[-1] < shape[0])
        self.last = last and len(entry.shape) == 3
        channels, *size = (shape[-1], *shape[:2]) if self.last else shape
        self.channels = [channels, *options.channels]
        for i, (kernel, stride) in enumerate(zip(self.kernels, self.strides, strict=True)):
            if min(size) < kernel:
                message = (
                    f"a kernel of {kernel} does not fit into the {size[0]} x {size[1]} numbers before layer {i + 1}"
                )
                raise UnbuildableError(("kernels",), message, "use smaller kernels or strides, or fewer layers")
            size = [(side - kernel) // stride + 1 for side in size]
        self.flat = self.channels[-1] * math.prod(size)
        self.features = options.features or self.flat

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Orthogonal weights of gain sqrt(2), zero biases (Saxe et al., 2014)."""
        tensors: dict[str, torch.Tensor] = {}
        shapes = [
            (after, before, k, k)
            for after, before, k in zip(self.channels[1:], self.channels, self.kernels, strict=False)
        ]
        layers: list[tuple[int, ...]] = [*shapes]
        if self.options.features is not None:
            layers.append((self.features, self.flat))
        for i, shape in enumerate(layers):
            weight = torch.empty(shape)
            torch.nn.init.orthogonal_(weight, math.sqrt(2), generator=generator)
            tensors[f"{i}.weight"], tensors[f"{i}.bias"] = weight, torch.zeros(shape[0])
        return tensors

    def __call__(self, params: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Features ``[B, features]`` of rows ``[B, columns]``."""
        weight = params["0.weight"]
        image = x[:, self.entry.start : self.entry.stop].to(weight.dtype)
        if self.entry.pixels:
            image = image / 255
        shape = self.entry.shape if len(self.entry.shape) == 3 else (1, *self.entry.shape)
        image = image.reshape(len(x), *shape)
        if self.last:
            image = image.permute(0, 3, 1, 2)
        for i, stride in enumerate(self.strides):
            image = torch.nn.functional.conv2d(image, params[f"{i}.weight"], params[f"{i}.bias"], stride).relu()
        features = image.reshape(len(x), -1)
        if self.options.features is not None:
            i = len(self.strides)
            features = torch.nn.functional.linear(features, params[f"{i}.weight"], params[f"{i}.bias"]).relu()
        return features


def image_of(entries: Mapping[str, Entry], options: NetworkOptions) -> Entry:
    """The only image among an observation's entries.

    Raises:
        UnbuildableError: there is none, or more than one, or others would be left out and nobody said so.
    """
    images = {name: entry for name, entry in entries.items() if len(entry.shape) in (2, 3) and entry.choices is None}
    if len(images) != 1:
        there = ", ".join(f"{name} {entry.shape}" for name, entry in entries.items())
        message = f"expected one image, but the observation has {len(images)}: {there}"
        raise UnbuildableError(("inputs",), message, "name one with inputs: [KEY], or use per_key")
    left_out = [name for name in entries if name not in images]
    if left_out and options.inputs is None:
        image = next(iter(images))
        message = f"of the observation's entries it would read {image} alone, and not {', '.join(left_out)}"
        cure = f"say so: inputs: [{image}]; or use per_key for all of them"
        raise UnbuildableError(("inputs",), message, cure)
    return next(iter(images.values()))


@register("network", "conv", traits=NetworkTraits(encodes=True, width=lambda options: PICTURES))
def make_conv(options: ConvOptions, entries: Mapping[str, Entry]) -> Encoder:
    """Convolutions over the image among ``entries``."""
    return Conv(options, image_of(entries, options))
