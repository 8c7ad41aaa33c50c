"""The convolutions of the DQN paper."""

from __future__ import annotations

from collections.abc import Mapping

from rlrecipe.interfaces import Encoder, Entry
from rlrecipe.networks.base import PICTURES, NetworkOptions
from rlrecipe.networks.conv import Conv, ConvOptions, image_of
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import NetworkTraits


class NatureCNNOptions(NetworkOptions):
    """Three convolutions and a layer, for images of 84 x 84 or so (Mnih et al., 2015)."""

    features: int = option(512, "Width of the layer after the convolutions.", gt=0)


@register("network", "nature_cnn", traits=NetworkTraits(encodes=True, width=lambda options: PICTURES))
def make_nature_cnn(options: NatureCNNOptions, entries: Mapping[str, Entry]) -> Encoder:
    """32 8x8, 64 4x4 and 64 3x3 kernels with strides of 4, 2 and 1, then a layer, each with relu."""
    layers = ConvOptions(channels=[32, 64, 64], kernels=[8, 4, 3], strides=[4, 2, 1], features=options.features)
    return Conv(layers, image_of(entries, options))
