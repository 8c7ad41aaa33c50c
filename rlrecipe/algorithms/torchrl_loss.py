"""A loss of torchrl.objectives that learns from replayed transitions, over this project's networks."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from rlrecipe.algorithms import entropy
from rlrecipe.algorithms.base import flat
from rlrecipe.algorithms.off_policy import OffPolicyOptions, ValueLearner, check_off_policy
from rlrecipe.errors import UnbuildableError
from rlrecipe.interfaces import Algorithm, Batch, Distribution, Head, Key, Network, Objective, Params, Scalars, Spaces
from rlrecipe.lazy import np, torch
from rlrecipe.recipe.asked import distribution_of, groups_of
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.names import NAMED, Words
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.traits import AlgorithmTraits
from rlrecipe.torchrl.modules import (
    CURE,
    SLOTS,
    arguments_of,
    build_loss,
    filled,
    is_deterministic,
    is_discrete,
    is_for_discrete,
    wiring,
)

if TYPE_CHECKING:
    from rlrecipe.recipe.schema import Recipe

DEFAULTS = {**entropy.DEFAULTS, "networks": dict.fromkeys(("policy", "qvalue", "value"), entropy.NETWORK)}
#: What a recipe says in places of its own.
ELSEWHERE = {"gamma": "algorithm.gamma", "action_spec": None, "action_space": None, "num_actions": None}
#: CQL's: an alternative to its actor's loss for the first updates.
WARM_UP = "loss_actor_bc"
#: Parameters of the loss itself, such as a temperature.
OWN = "loss"


class TorchRLLossOptions(OffPolicyOptions):
    """Any loss of torchrl.objectives over transitions: for what has no file of its own."""

    loss: Annotated[str, NAMED] = option(
        "SACLoss", "Name of the class in torchrl.objectives, such as CQLLoss or IQLLoss."
    )
    options: Annotated[dict[str, Any], Words()] = option({}, "The loss's own options, by torchrl's names.")
    terms: Annotated[list[str], NAMED] = option(
        [], "Which of its losses are added up, such as loss_actor; none means all but loss_actor_bc, a warm-up."
    )
    critic_outputs: int = option(1, "Numbers that a critic gives: the quantiles of TQCLoss, else 1.", gt=0)


def acts(loss: str, discrete: bool) -> dict[str, Any]:
    """The distribution that a loss's policy has where the recipe names none."""
    if "actor_network" not in wiring(loss):
        return {"name": "greedy"}
    if discrete:
        return {"name": "categorical"}
    return {"name": "tanh"} if is_deterministic(loss) else {"name": "tanh_normal", "state_dependent": True}


class TorchRLLoss(ValueLearner):
    """One loss module as one objective: its losses are added up, as torchrl's own trainers do.

    Its parameters are the run's: the module computes with them and keeps none. Its target networks follow as
    ``target`` says, its random numbers come from the run's stream. Sub-batches are tensordicts here.

    Args:
        options: the loss and its numbers.
        networks: by slot.
        distribution: of the policy.
    """

    def __init__(
        self, options: TorchRLLossOptions, networks: Mapping[str, Network], distribution: Distribution
    ) -> None:
        super().__init__(options)
        self.name, self.slots = options.loss, wiring(options.loss)
        self.module = build_loss(options.loss, options.options, options.gamma, networks, distribution)
        delayed = {name for name, plain in self.module._has_update_associated.items() if not plain}
        self.delayed = {name: slot for name, slot in self.slots.items() if name in delayed}
        self.targets = tuple(self.delayed.values())
        self.module._has_update_associated.update(dict.fromkeys(delayed, True))
        self.terms = set(options.terms)
        # A property: some losses compute it when asked, from parameters that are no longer theirs later.
        getattr(self.module, "target_entropy", None)
        self.own = {name: each.detach().clone() for name, each in self.module.named_parameters() if "." not in name}
        self.objectives = (Objective(self.loss),)
        self._bound: Params | None = None
        self._kept: dict[str, torch.Tensor] = {}

    def init(self) -> dict[str, dict[str, torch.Tensor]]:
        """Parameters of the loss itself."""
        return {OWN: self.own} if self.own else {}

    def noise(self, rng: np.random.Generator, rows: int) -> dict[Key, np.ndarray]:
        """Seeds: what torchrl draws comes from torch's generator."""
        return {"seed": rng.integers(0, 2**62, rows)}

    def loss(self, params: Params, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """The sum of the module's losses of a sub-batch ``[B, ...]``."""
        if self._bound is not params:
            self._bind(params)
        self._bound_own(params)
        rows = self._rows(batch)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(batch["seed"][0]))
            given = self.module(rows)
        for name, kept in self._kept.items():
            # The same values, in the run's memory.
            params[OWN][name].data = kept
        losses = {name: value for name, value in given.items() if self._counts(name)}
        reported = {name: value.detach() for name, value in given.items() if not value.dim()}
        error = rows.get("td_error", None)
        if error is not None:
            reported["td_error"] = error.detach().reshape(len(rows), -1).amax(-1)
        return sum(losses.values(), torch.zeros(())), reported

    def _counts(self, name: str) -> bool:
        if self.terms:
            return name in self.terms
        return (name == "loss" or name.startswith("loss_")) and name != WARM_UP

    def _bound_own(self, params: Params) -> None:
        """Bound a temperature in the run's memory: torchrl does it by giving the parameter other memory."""
        # A property of some losses, which bounds when asked.
        getattr(self.module, "_alpha", None)
        for name, kept in self._kept.items():
            leaf = params[OWN][name]
            if leaf.data_ptr() != kept.data_ptr():
                kept.copy_(leaf.detach())
                leaf.data = kept

    def try_out(self, params: Params, batch: Batch) -> None:
        """See whether the loss and its gradients can be computed, with parameters of their shapes.

        Raises:
            UnbuildableError: they cannot, or would leave out what the recipe asks for.
        """
        leaves = {
            slot: {name: tensor.detach().clone().requires_grad_() for name, tensor in own.items()}
            for slot, own in params.items()
        }
        given = {**leaves, **{f"target_{slot}": params[slot] for slot in self.targets}}
        try:
            value, metrics = self.loss(given, batch, {})
            if strange := self.terms - metrics.keys():
                has = ", ".join(name for name in metrics if name.startswith("loss"))
                raise UnbuildableError(
                    ("algorithm", "terms"), f"{self.name} has no loss {', '.join(strange)}", f"it has {has}"
                )
            torch.autograd.grad(value, [leaf for own in leaves.values() for leaf in own.values()])
            changes = {name: self.loss(given, {**batch, **other}, {})[0] for name, other in _others(batch).items()}
        except UnbuildableError:
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            message = f"{self.name} cannot learn from this recipe's transitions and distribution: {text}"
            raise UnbuildableError(("algorithm", "loss"), message, CURE) from error
        if self.n_steps > 1 and 0 < self.gamma < 1 and torch.equal(changes["gamma"], value):
            message = f"{self.name} discounts every next value by one step"
            raise UnbuildableError(("algorithm", "n_steps"), message, "remove n_steps")
        if "priority_weight" in batch and ("td_error" not in metrics or torch.equal(changes["priority_weight"], value)):
            message = f"{self.name} has no use for priorities: it leaves out their weights or gives no td_error"
            raise UnbuildableError(("replay_buffer",), message, "use uniform")

    def _rows(self, batch: Batch) -> Any:
        """A sub-batch as the tensordict that torchrl reads."""
        from tensordict import TensorDict

        size = [len(batch["action"])]
        ended = batch["next", "terminated"].unsqueeze(-1)
        following = {
            "observation": flat(batch["next", "observation"]),
            "reward": batch["next", "reward"].unsqueeze(-1),
            "terminated": ended,
            "done": ended,
        }
        rows = {"observation": flat(batch["observation"]), "action": batch["action"]}
        if "priority_weight" in batch:
            rows["priority_weight"] = batch["priority_weight"]
        if "gamma" in batch and 0 < self.gamma < 1:
            rows["steps_to_next_obs"] = (batch["gamma"].log() / math.log(self.gamma)).round().unsqueeze(-1)
        return TensorDict({**rows, "next": TensorDict(following, size)}, size)

    def _bind(self, params: Params) -> None:
        """Let the module compute with ``params``: their leaves stay the same tensors for the whole run."""
        for name, slot in self.slots.items():
            setattr(self.module, f"{name}_params", filled(getattr(self.module, f"{name}_params"), params[slot]))
        for name, slot in self.delayed.items():
            which = f"target_{name}_params"
            setattr(self.module, which, filled(getattr(self.module, which), params[f"target_{slot}"]))
        for name in self.own:
            # As torch.func.functional_call does: a plain tensor in a parameter's place.
            self.module._parameters[name] = params[OWN][name]
        self._kept = {name: params[OWN][name].detach() for name in self.own}
        self._bound = params


def _others(batch: Batch) -> dict[str, Batch]:
    """Numbers of a batch that a loss may leave out in silence, changed."""
    names: tuple[str, ...] = ("gamma", "priority_weight")
    return {name: {name: batch[name] * 0.5} for name in names if name in batch}


def misfits(recipe: Recipe, discrete: bool) -> Iterable[Problem]:
    """What in a recipe cannot go with its loss: asked when torchrl may be loaded."""
    algorithm: Any = recipe.algorithm
    loss, where = algorithm.loss, ("algorithm", "loss")
    arguments = arguments_of(loss)
    if arguments is None:
        from torchrl import objectives

        similar = difflib.get_close_matches(loss, dir(objectives), 1)
        yield Problem("E201", where, f"torchrl.objectives has no loss {loss!r}", similar[0] if similar else None)
        return
    strange = [name for name, each in arguments.items() if each.default is each.empty and name not in SLOTS]
    if "critic_network" in arguments:
        message = f"{loss} learns from the advantages of its newest batch, not from a replay buffer"
        yield Problem("E302", where, message, "use ppo, a2c or reinforce")
    elif set(strange) - {"gamma"} or not {"actor_network", "value_network"} & set(arguments):
        message = f"{loss} is made of {', '.join(strange) or 'other things'}, which transitions do not give"
        yield Problem("E302", where, message, "use a loss of actor_, qvalue_ and value_network")
    elif discrete != is_for_discrete(loss):
        kind, other = ("Box", f"Discrete{loss}") if discrete else ("Discrete", loss.removeprefix("Discrete"))
        near = other if other != loss and arguments_of(other) else ("DQNLoss" if discrete else "SACLoss")
        yield Problem("E301", where, f"{loss} acts in {kind} spaces, and this environment's is another", f"use {near}")
    else:
        yield from _left_over(recipe, arguments)


def _left_over(recipe: Recipe, arguments: Mapping[str, Any]) -> Iterable[Problem]:
    """What a recipe says that this loss would not hear."""
    algorithm: Any = recipe.algorithm
    loss, taken, optimizer = algorithm.loss, set(wiring(algorithm.loss).values()), recipe.optimizer
    for name in algorithm.options:
        where = ("algorithm", "options", name)
        if name in ELSEWHERE:
            cure = f"write {ELSEWHERE[name]}" if ELSEWHERE[name] else "remove it"
            yield Problem("E302", where, f"{name} follows from the recipe", cure)
        elif name not in arguments or name in SLOTS:
            near = difflib.get_close_matches(name, set(arguments) - set(SLOTS), 1)
            yield Problem("E101", where, f"{loss} has no option {name!r}", near[0] if near else None)
    usual = Slot("network").read(entropy.NETWORK)
    for slot, network in recipe.networks.items():
        if slot not in taken and network != usual:
            cure = f"say it of networks.{', networks.'.join(sorted(taken))}"
            yield Problem("E302", ("networks", slot), f"{loss} has no network {slot}", cure)
    for slot in groups_of(optimizer):
        if slot not in {*taken, OWN}:
            yield Problem("E302", ("optimizer", "groups", slot), f"{loss} has no network {slot}", "remove it")
    chosen = distribution_of(recipe.networks["policy"])
    if recipe.exploration is None and chosen is None and loss != "BCLoss":
        # What it does at random it must be told: its usual distribution has one action for each state.
        message = f"the policy of {loss} has no randomness of its own"
        if is_deterministic(loss):
            yield Problem("E302", ("algorithm", "loss"), message, "write exploration: gaussian")
        elif "actor_network" not in arguments:
            yield Problem("E302", ("algorithm", "loss"), message, "write exploration: egreedy")


class _Any:
    """Stands for a network whose sizes do not matter yet."""

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return {"weight": torch.zeros(1)}


def heads(distribution: Any, options: TorchRLLossOptions, spaces: Spaces) -> dict[str, Head]:
    """The networks that the loss takes; critics as often as torchrl copies them.

    Raises:
        UnbuildableError: torchrl refuses.
    """
    slots = wiring(options.loss)
    networks: Any = {slot: _Any() for slot in slots.values()}
    module = build_loss(options.loss, options.options, options.gamma, networks, distribution)
    discrete = is_discrete(distribution)
    every = {
        "policy": Head(distribution.features),
        "qvalue": Head(distribution.features if discrete else options.critic_outputs, action=not discrete),
        "value": Head(1),
    }
    sizes = {slot: getattr(module, f"{name}_params").batch_size for name, slot in slots.items()}
    return {slot: replace(every[slot], copies=size[0] if size else None) for slot, size in sizes.items()}


@register(
    "algorithm",
    "torchrl_loss",
    check=check_off_policy,
    traits=AlgorithmTraits(
        slots=("policy", "qvalue", "value"),
        heads=heads,
        acts_in={
            "Discrete": lambda options: acts(options.loss, discrete=True),
            "Box": lambda options: acts(options.loss, discrete=False),
        },
        defaults=DEFAULTS,
        own_slots=(OWN,),
        updates_per_frame=1.0,
        starts_with={"Discrete": {"loss": "DiscreteSACLoss"}, "Box": {"loss": "SACLoss"}},
        # Its functions hold tensors that are nobody's parameters.
        compiles=False,
        fragile=misfits,
    ),
)
def make_torchrl_loss(
    options: TorchRLLossOptions, networks: Mapping[str, Network], distribution: Distribution
) -> Algorithm:
    """The loss over the networks of its slots."""
    return TorchRLLoss(options, networks, distribution)
