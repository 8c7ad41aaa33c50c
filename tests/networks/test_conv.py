import pytest
import torch

from rlrecipe.errors import UnbuildableError
from rlrecipe.interfaces import Entry
from rlrecipe.networks.conv import Conv, ConvOptions, image_of
from rlrecipe.networks.nature_cnn import NatureCNNOptions, make_nature_cnn
from rlrecipe.networks.one_hot import OneHot
from rlrecipe.networks.per_key import PerKey

GENERATOR = torch.Generator().manual_seed(0)
SMALL = ConvOptions(channels=[4, 5], kernels=[3, 2], strides=[2, 1], features=7)


def test_convolutions_are_torchs_own() -> None:
    conv = Conv(SMALL, Entry(2, (3, 9, 11)))
    params = conv.init(GENERATOR)
    x = torch.randn(6, 2 + 3 * 9 * 11 + 1)
    image = x[:, 2:-1].reshape(6, 3, 9, 11)
    image = torch.nn.functional.conv2d(image, params["0.weight"], params["0.bias"], 2).relu()
    image = torch.nn.functional.conv2d(image, params["1.weight"], params["1.bias"]).relu()
    expected = torch.nn.functional.linear(image.flatten(1), params["2.weight"], params["2.bias"]).relu()
    torch.testing.assert_close(conv(params, x), expected)
    assert conv.features == 7


def test_channels_may_come_last_and_bytes_are_fractions() -> None:
    first, last = Entry(0, (3, 8, 8), "uint8", pixels=True), Entry(0, (8, 8, 3), "uint8", pixels=True)
    image = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    one, other = Conv(SMALL, first), Conv(SMALL, last)
    params = one.init(GENERATOR)
    features = one(params, image.flatten(1))
    torch.testing.assert_close(other(params, image.permute(0, 2, 3, 1).flatten(1)), features)
    plain = Conv(SMALL, Entry(0, (3, 8, 8)))
    torch.testing.assert_close(plain(params, image.flatten(1).float() / 255), features)


def test_an_image_without_channels_has_one() -> None:
    conv = Conv(SMALL, Entry(0, (8, 8)))
    assert conv.init(GENERATOR)["0.weight"].shape == (4, 1, 3, 3)


def test_the_network_of_the_dqn_paper() -> None:
    cnn = make_nature_cnn(NatureCNNOptions(), {"observation": Entry(0, (4, 84, 84), "uint8", pixels=True)})
    assert sum(tensor.numel() for tensor in cnn.init(GENERATOR).values()) == 1_684_128
    assert cnn.features == 512


@pytest.mark.parametrize(
    ("options", "entry", "said"),
    [
        (ConvOptions(channels=[4], kernels=[3, 3]), Entry(0, (8, 8)), "2 kernels for 1 channels"),
        (ConvOptions(channels=[4], strides=[1, 1]), Entry(0, (8, 8)), "2 strides for 1 channels"),
        (ConvOptions(channels=[4, 4], kernels=[5, 5]), Entry(0, (8, 8)), "a kernel of 5 does not fit into the 4 x 4"),
        (ConvOptions(), Entry(0, (8,)), "expected an image"),
    ],
)
def test_what_does_not_fit_is_said(options: ConvOptions, entry: Entry, said: str) -> None:
    with pytest.raises(UnbuildableError, match=said) as raised:
        Conv(options, entry)
    assert raised.value.cure


@pytest.mark.parametrize("images", [0, 2])
def test_one_image_is_needed(images: int) -> None:
    entries = {f"camera {i}": Entry(64 * i, (8, 8)) for i in range(images)}
    with pytest.raises(UnbuildableError, match=f"the observation has {images}"):
        image_of({**entries, "speed": Entry(200, (2,))}, SMALL)


def test_features_of_several_entries_stand_side_by_side() -> None:
    image, choice = Entry(0, (8, 8)), Entry(64, (4,), choices=4)
    # In the order of the alphabet, as a checkpoint writes a recipe's mappings.
    both = PerKey({"way": OneHot({"way": choice}), "camera": Conv(SMALL, image)})
    params = both.init(GENERATOR)
    assert {name.split(".")[0] for name in params} == {"camera"}
    x = torch.randn(3, 68)
    features = both(params, x)
    assert features.shape == (3, both.features) == (3, 7 + 4)
    assert torch.equal(features[:, 7:], x[:, 64:])


def test_other_entries_are_left_out_only_if_somebody_says_so() -> None:
    entries = {"camera": Entry(0, (8, 8)), "speed": Entry(64, (2,))}
    with pytest.raises(UnbuildableError, match="it would read camera alone, and not speed"):
        image_of(entries, SMALL)
    assert image_of(entries, ConvOptions(inputs=["camera"])) is entries["camera"]
