"""Networks of an algorithm's slots, and what feeds them: entries of the observation, an encoder, a memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from rlrecipe.assembly.environments import Spaces
from rlrecipe.errors import UnbuildableError
from rlrecipe.interfaces import Algorithm, Distribution, Entry, Head, Objective
from rlrecipe.networks.base import encoder_builder, refuse_pixels
from rlrecipe.networks.copies import Copies
from rlrecipe.networks.fed import Fed, Front, Packs
from rlrecipe.networks.mlp import MLP, MLPOptions
from rlrecipe.recipe.asked import inputs_of
from rlrecipe.recipe.checks import SHARED
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.traits import AlgorithmTraits, NetworkTraits
from rlrecipe.stepping.observations import entries_of, packing_of

Entries = Mapping[str, Entry]


def make_networks(recipe: Recipe, spaces: Spaces, distribution: Distribution) -> dict[str, Any]:
    """A network for each slot of the algorithm; encoder and memory, if there are any, under their own names.

    Raises:
        UnbuildableError: a network cannot read this observation.
    """
    heads = AlgorithmTraits.of(recipe.algorithm).heads(distribution, recipe.algorithm, spaces)
    entries, actions = entries_of(spaces.observation), int(np.prod(spaces.action.shape))
    packs = partial(packing_of, spaces.observation)
    front = _shared(recipe, entries, packs)
    networks = {
        slot: _network(slot, recipe.networks[slot], head, actions * head.action, entries, front, packs)
        for slot, head in heads.items()
    }
    if front is not None:
        networks |= {slot: part for slot in SHARED if (part := getattr(front, slot)) is not None}
        _refuse_unread(recipe, networks, heads)
    return networks


def _refuse_unread(recipe: Recipe, networks: Mapping[str, Any], heads: Mapping[str, Head]) -> None:
    """Raise where what feeds networks feeds none, or none of those whose loss moves it."""
    for shared, users in shared_slots(networks).items():
        critic = "qvalue" if "qvalue" in heads else None
        if not users:
            message = f"no network reads the {shared}: each has inputs or an encoder of its own"
            raise UnbuildableError(("networks", shared), message, "remove it, or the inputs of one that should read it")
        if critic is not None and critic not in users:
            message = f"the critics' loss moves a shared {shared}, and {critic} does not read it"
            raise UnbuildableError(("networks", critic), message, _shared_or_own(recipe, critic, shared))


def _shared_or_own(recipe: Recipe, critic: str, shared: str) -> str:
    """How a critic comes to read what is shared, or the policy to what it now shares with nobody."""
    feeds, reads = recipe.networks[shared].component, recipe.networks[critic]
    own = NetworkTraits.of(reads).encodes is True
    share = f"make networks.{critic} an mlp without inputs" if own else f"remove networks.{critic}.inputs"
    if NetworkTraits.of(feeds).encodes is True:
        return f"{share}; or move networks.{shared} ({feeds.name}) to networks.policy, as the policy's own"
    return f"{share}; or remove networks.{shared} and put its layers into networks.policy"


def shared_slots(networks: Mapping[str, Any]) -> dict[str, list[str]]:
    """Encoder and memory, each with the slots whose networks they feed."""
    fed = [slot for slot, network in networks.items() if isinstance(network, Fed) and not network.own]
    front = [slot for slot in fed if any(getattr(networks[slot].front, shared) is not None for shared in SHARED)]
    return {shared: front for shared in SHARED if shared in networks}


class Moves(NamedTuple):
    """What an algorithm's objectives move, and which slots have a target network, shared parts among them."""

    objectives: tuple[Objective, ...]
    targets: tuple[str, ...]


def moves_of(algorithm: Algorithm, shared: tuple[str, ...]) -> Moves:
    """The critics' objective moves what feeds several networks, too, and its copies follow with the critics'.

    An objective that moves everything moves it anyway. Of several, the critics' errors say most about a state
    (Yarats et al., 2021, section 4.2); the policy's own gradient does not reach it.
    """
    objectives, targets = list(algorithm.objectives), tuple(algorithm.targets)
    if shared and objectives[0].slots:
        critic = next((i for i, one in enumerate(objectives) if {"qvalue", "value"} & set(one.slots)), 0)
        objectives[critic] = replace(objectives[critic], slots=(*objectives[critic].slots, *shared))
    return Moves(tuple(objectives), (*targets, *shared) if targets else ())


def _columns(entries: Entries) -> int:
    return max(entry.stop for entry in entries.values())


def _shared(recipe: Recipe, entries: Entries, packs: Packs) -> Front | None:
    """What the networks share, if anything."""
    encoder, memory = (recipe.networks.get(slot) for slot in SHARED)
    if encoder is None and memory is None:
        return None
    encoded = None if encoder is None else _encoder("encoder", encoder, entries)
    remembers = None
    if memory is not None:
        if encoded is None:
            _refuse_pixels("memory", memory, entries)
        columns = _columns(entries) if encoded is None else encoded.features
        remembers = memory.component.build(memory, columns)
    return Front(_columns(entries), encoded, remembers, packs=packs)


def _network(
    slot: str, options: Any, head: Head, actions: int, entries: Entries, front: Front | None, packs: Packs
) -> Any:
    """The network of a slot; actions follow what it reads of the observation."""
    build, columns = options.component.build, _columns(entries)
    own = NetworkTraits.of(options).encodes is True
    if front is not None and front.memory is not None and (own or inputs_of(options) is not None):
        message = "with a memory, every network reads what it remembers"
        path = ("networks", slot) if own else ("networks", slot, "inputs")
        raise UnbuildableError(path, message, "move it to networks.encoder, or remove networks.memory")
    if own:
        encoder = _encoder(slot, options, entries)
        # Its features, and one layer to what the slot is asked for.
        layer = MLP(MLPOptions(num_cells=[]), [encoder.features + actions, head.features], head.gain)
        return _copies(Fed(layer, Front(columns, encoder, packs=packs), own=True), head)
    if inputs_of(options) is not None:
        chosen = _chosen(slot, options, entries)
        _refuse_pixels(slot, options, chosen)
        read = [i for entry in chosen.values() for i in range(entry.start, entry.stop)]
        network = build(options, len(read) + actions, head.features, head.gain)
        return Fed(_copies(network, head), Front(columns, chosen=read, packs=packs))
    if front is not None:
        return Fed(_copies(build(options, front.features + actions, head.features, head.gain), head), front)
    _refuse_pixels(slot, options, entries)
    return _copies(build(options, columns + actions, head.features, head.gain), head)


def _copies(network: Any, head: Head) -> Any:
    return network if head.copies is None else Copies(network, head.copies)


def _encoder(slot: str, options: Any, entries: Entries) -> Any:
    build = encoder_builder(options)
    assert build is not None, "the algorithm's check refuses what is no encoder"
    try:
        return build(options, _chosen(slot, options, entries))
    except UnbuildableError as error:
        if error.path[:1] == ("networks",):
            raise
        raise UnbuildableError(("networks", slot, *error.path), str(error), error.cure) from None


def _chosen(slot: str, options: Any, entries: Entries) -> Entries:
    """The entries that a network's ``inputs`` name, or all of them."""
    names = inputs_of(options)
    if names is None:
        return entries
    for i, name in enumerate(names):
        if name not in entries:
            message = f"the observation has no entry {name!r}; it has {', '.join(entries)}"
            raise UnbuildableError(("networks", slot, "inputs", i), message, f"name one of {', '.join(entries)}")
    return {name: entries[name] for name in names}


def _refuse_pixels(slot: str, options: Any, entries: Entries) -> None:
    refuse_pixels(options, entries, ("networks", slot), "add networks.encoder: nature_cnn, or conv for small images")
