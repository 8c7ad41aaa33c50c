import functools
import importlib.metadata
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rlrecipe.interfaces import Network
from rlrecipe.recipe import registry
from rlrecipe.recipe.imports import ImportProblem, load_import
from rlrecipe.recipe.options import Options, Traits
from rlrecipe.recipe.registry import KINDS, find, register, search
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.traits import OF_KIND, AlgorithmTraits, HookTraits, NetworkTraits, TransformTraits, _told_spaces
from tests import small

pytestmark = pytest.mark.usefixtures("own_registry")

#: An encoder as it was registered before there were dataclasses.
OLD = """
from rlrecipe import register
from rlrecipe.networks.base import NetworkOptions
from rlrecipe.networks.one_hot import make_one_hot


class AgainOptions(NetworkOptions):
    "Choices, one-hot."


@register("network", "again", encodes=True, width=lambda options: 7)
def make_again(options: AgainOptions, entries):
    return make_one_hot(options, entries)
"""


class Plain(Options):
    """Without any option."""


CURE = r"traits are given as one object of rlrecipe\.recipe\.traits: "


@pytest.mark.parametrize("kind", KINDS)
def test_every_component_has_the_traits_of_its_kind(kind: str) -> None:
    assert {type(component.traits) for component in search(kind)} == {OF_KIND.get(kind, Traits)}


def test_traits_are_taken_by_their_type() -> None:
    options = Slot("transform").read("frame_stack")
    assert TransformTraits.of(options).wraps
    assert TransformTraits.of(options.component) is options.component.traits
    with pytest.raises(TypeError, match="the transform 'frame_stack' has TransformTraits, no HookTraits"):
        HookTraits.of(options)


def test_an_unknown_trait_lists_those_that_there_are() -> None:
    with pytest.raises(TypeError, match="NetworkTraits has no trait 'encode'; there are: probe, encodes, remembers"):
        register("network", "x", traits=NetworkTraits(encode=True))  # type: ignore[call-arg,call-overload]  # mypy, too


def test_a_missing_trait_is_named() -> None:
    with pytest.raises(TypeError, match=r"AlgorithmTraits.*missing 2 required .*: 'heads' and 'acts_in'"):
        AlgorithmTraits(slots=("policy",))  # type: ignore[call-arg]  # mypy says so, too
    with pytest.raises(TypeError, match=r"the algorithm 'x': AlgorithmTraits.*missing 3 .*; give it traits="):
        register("algorithm", "x")  # type: ignore[call-overload]  # mypy says so, too


def test_traits_of_another_kind() -> None:
    with pytest.raises(TypeError, match=r"the network 'x': its traits are HookTraits; give it traits=NetworkTraits\("):
        register("network", "x", traits=HookTraits())  # type: ignore[call-overload]  # mypy says so, too


class NumberOptions(Options):
    """A number."""


def test_a_builder_gives_what_its_kind_is() -> None:
    decorate = register("network", "number", traits=NetworkTraits())

    @decorate  # type: ignore[type-var]  # mypy knows what a network is
    def make_number(options: NumberOptions) -> int:
        return 0

    @decorate
    def make_network(options: NumberOptions) -> Network:
        raise AssertionError("nobody builds it")

    assert find("network", "number").build is make_network


# -- plug-ins of before


def old_file(folder: Path, text: str = OLD) -> Path:
    file = folder / "again.py"
    file.write_text(text)
    return file


def test_traits_one_by_one_still_work_and_name_the_new_form(tmp_path: Path) -> None:
    form = r"register\('network', 'again', traits=NetworkTraits\(encodes=\.\.\., width=\.\.\.\)\)"
    with pytest.warns(DeprecationWarning, match=CURE + form) as warned:
        load_import("./again.py", old_file(tmp_path).parent)
    assert [Path(each.filename).name for each in warned] == ["again.py"]
    traits = NetworkTraits.of(find("network", "again"))
    assert traits.encodes is True
    assert traits.width is not None
    assert traits.width(None) == 7


def test_a_run_with_a_plug_in_of_before_is_that_of_the_new_form(tmp_path: Path) -> None:
    def trained(encoder: str) -> Any:
        policy = {"num_cells": [8]}
        recipe: dict[str, Any] = {
            **small.CARTPOLE,
            "env": {"env_name": "FrozenLake-v1", "num_envs": 2},
            "networks": {"policy": policy, "value": policy, "encoder": encoder},
            "trainer": {"total_frames": 128},
            "evaluation": {"episodes": 1},
        }
        small.train(recipe, tmp_path / encoder)
        return small.outcome_of(tmp_path / encoder)

    with pytest.warns(DeprecationWarning, match=CURE):
        load_import("./again.py", old_file(tmp_path).parent)
    assert trained("again") == trained("one_hot")


def test_an_entry_point_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old_file(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    offered = importlib.metadata.EntryPoint("x", "again", registry.ENTRY_POINTS)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [offered])
    monkeypatch.setattr(registry, "_searched", set())
    registry._installed.cache_clear()
    with pytest.warns(DeprecationWarning, match=CURE):
        assert "again" in [component.name for component in search("network")]
    del sys.modules["again"]


def test_an_unknown_trait_of_before_names_the_component(tmp_path: Path) -> None:
    file = old_file(tmp_path, OLD.replace("encodes", "encode"))
    message = r"the network 'again': NetworkTraits has no trait 'encode'; there are: .*; give it traits=NetworkTraits\("
    with pytest.raises(ImportProblem, match=message):
        load_import("./again.py", file.parent)


def test_both_forms_at_once() -> None:
    both: Mapping[str, Any] = {"traits": NetworkTraits(), "encodes": True}
    with pytest.raises(TypeError, match=r"the network 'x': write encodes inside traits=NetworkTraits\(...\)"):
        register("network", "x", **both)


def _plain(distribution: Any, options: Any, gain: float = 0.01) -> str:
    return f"{distribution} {options} {gain}"


def _named(distribution: Any, options: Any, *, gain: float = 0.01) -> str:
    return f"{distribution} {options} {gain}"


@pytest.mark.parametrize("heads", [_plain, _named, functools.partial(_plain, gain=0.01)])
def test_heads_of_before_are_not_told_the_spaces(heads: Any) -> None:
    with pytest.warns(DeprecationWarning, match=r"heads\(distribution, options, spaces\)"):
        told = _told_spaces("x", heads)
    assert told("d", "o", "s") == "d o 0.01"


def test_heads_that_are_told_the_spaces_are_as_they_are() -> None:
    def heads(distribution: Any, options: Any, spaces: Any) -> None: ...

    assert _told_spaces("x", heads) is heads


def test_traits_can_be_read_as_the_mapping_that_they_were() -> None:
    traits = find("transform", "frame_stack").traits
    with pytest.warns(DeprecationWarning, match=r"TransformTraits\.of\(options\)\.wraps"):
        assert traits["wraps"] is True
    with pytest.warns(DeprecationWarning, match="traits are attributes"):
        assert traits.get("wraps") is True
    assert traits.get("ratio", 3) == 3
    with pytest.raises(KeyError, match="ratio"):
        traits["ratio"]


def test_traits_of_a_derived_class_are_of_its_kind() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Own(NetworkTraits):
        mine: int = 0

    @register("network", "own", traits=Own(mine=3))
    def make(options: Plain, columns: int, features: int, gain: float) -> Network:
        raise AssertionError("nobody builds it")

    assert NetworkTraits.of(find("network", "own")) == Own(mine=3)
