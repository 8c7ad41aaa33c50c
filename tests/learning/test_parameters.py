import pytest
import torch

from rlrecipe.learning.parameters import Parameters


def make() -> Parameters:
    return Parameters(
        {
            "policy": {"0.weight": torch.arange(6.0).reshape(2, 3), "0.bias": torch.tensor([6.0, 7.0])},
            "value": {"0.weight": torch.tensor([[8.0, 9.0]])},
        }
    )


def test_one_vector_in_the_order_given() -> None:
    assert make().flat.tolist() == list(range(10))


def test_names_and_shapes() -> None:
    named = make().named()
    assert {name: tuple(view.shape) for name, view in named.items()} == {
        "policy.0.weight": (2, 3), "policy.0.bias": (2,), "value.0.weight": (1, 2)
    }  # fmt: skip
    params = make().params
    assert params["policy"]["0.bias"].tolist() == [6, 7]


def test_every_view_is_the_same_memory() -> None:
    parameters = make()
    arrays, views = parameters.numpy(), parameters.named()
    parameters.flat[7] = -1.0
    assert arrays["policy"]["0.bias"].tolist() == views["policy.0.bias"].tolist() == [6, -1]
    arrays["value"]["0.weight"][0, 1] = 5.0
    assert parameters.flat[9] == 5.0


def test_what_it_was_made_of_is_copied() -> None:
    tensor = torch.zeros(2)
    parameters = Parameters({"policy": {"x": tensor}})
    parameters.flat += 1
    assert tensor.tolist() == [0, 0]


def test_the_range_of_a_slot() -> None:
    assert make().range("policy") == (0, 8)
    assert make().range("value") == (8, 10)


def test_loading_goes_into_the_same_memory() -> None:
    parameters, other = make(), make()
    other.flat += 1
    address = parameters.flat.data_ptr()
    parameters.load(other.named())
    assert torch.equal(parameters.flat, other.flat)
    assert parameters.flat.data_ptr() == address


def test_loading_refuses_other_shapes_and_missing_names() -> None:
    parameters = make()
    with pytest.raises(ValueError, match=r"policy\.0\.bias: shape \(3,\), expected \(2,\)"):
        parameters.load({**parameters.named(), "policy.0.bias": torch.zeros(3)})
    with pytest.raises(KeyError, match=r"value\.0\.weight"):
        parameters.load({name: view for name, view in parameters.named().items() if name != "value.0.weight"})


def test_another_precision() -> None:
    assert Parameters({"policy": {"x": torch.zeros(2)}}, torch.float64).flat.dtype == torch.float64
