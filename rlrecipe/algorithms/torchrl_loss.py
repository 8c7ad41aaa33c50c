"""A loss of torchrl.objectives that learns from replayed transitions, over this project's networks."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rlrecipe.algorithms.base import flat
from rlrecipe.algorithms.off_policy import OffPolicyOptions, ValueLearner, check_off_policy
from rlrecipe.algorithms.torchrl_modules import CURE, SLOTS, arguments_of, build_loss, filled, is_discrete, wiring
from rlrecipe.errors import Unbuildable
from rlrecipe.interfaces import Algorithm, Batch, Distribution, Head, Key, Network, Objective, Params, Scalars
from rlrecipe.lazy import np, torch
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.recipe.schema import Recipe

NETWORK = {"name": "mlp", "num_cells": [256, 256], "activation": "relu", "init": "default"}
DEFAULTS = {
    "networks": {"policy": NETWORK, "qvalue": NETWORK, "value": NETWORK},
    "optimizer": {"name": "adam", "lr": 3e-4},
    "collector": {"name": "sync", "frames_per_batch": 1, "init_random_frames": 100},
    "replay_buffer": {"name": "uniform", "batch_size": 256},
}
#: What a recipe says in places of its own.
ELSEWHERE = {"gamma": "algorithm.gamma", "action_spec": None, "action_space": None, "num_actions": None}
#: Parameters of the loss itself, such as a temperature.
OWN = "loss"


class TorchRLLossOptions(OffPolicyOptions):
    """Any loss of torchrl.objectives over transitions: for what has no file of its own."""

    loss: str = option(..., "Name of the class in torchrl.objectives, such as CQLLoss or IQLLoss.")
    options: dict[str, Any] = option({}, "The loss's own options, by torchrl's names.")
    critic_outputs: int = option(1, "Numbers that a critic gives: the quantiles of TQCLoss, else 1.", gt=0)


def acts(loss: str, discrete: bool) -> dict[str, Any]:
    """The distribution that a loss's policy has where the recipe names none."""
    arguments, taken = arguments_of(loss) or {}, wiring(loss)
    if "actor_network" not in taken:
        return {"name": "greedy"}
    if discrete:
        return {"name": "categorical"}
    # Deterministic policies are plain modules to torchrl; REDQ's is one in name, but has a temperature.
    plain = "Probabilistic" not in str(arguments["actor_network"].annotation) and "alpha_init" not in arguments
    return {"name": "tanh"} if plain else {"name": "tanh_normal", "state_dependent": True}


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
        self.own = {name: each.detach().clone() for name, each in self.module.named_parameters() if "." not in name}
        self.objectives = (Objective(self.loss),)
        self._bound: Params | None = None

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
        rows = self._rows(batch)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(batch["seed"][0]))
            given = self.module(rows)
        losses = {name: value for name, value in given.items() if name == "loss" or name.startswith("loss_")}
        reported = {name.removeprefix("loss_"): value.detach() for name, value in given.items() if not value.dim()}
        error = rows.get("td_error", None)
        if error is not None:
            reported["td_error"] = error.detach().reshape(len(rows), -1).amax(-1)
        return torch.stack(list(losses.values())).sum(), reported

    def try_out(self, params: Params, batch: Batch) -> None:
        """See whether the loss can be computed, with parameters of their shapes.

        Raises:
            Unbuildable: it cannot.
        """
        leaves = {
            slot: {name: tensor.detach().requires_grad_() for name, tensor in own.items()}
            for slot, own in params.items()
        }
        copies = {f"target_{slot}": params[slot] for slot in self.targets}
        try:
            self.loss({**leaves, **copies}, batch, {})
        except Exception as error:
            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            message = f"{self.name} cannot learn from this recipe's transitions and distribution: {text}"
            raise Unbuildable(("algorithm", "loss"), message, CURE) from error

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
        self._bound = params


def check(recipe: Recipe) -> Iterable[Problem]:
    """What in a recipe cannot go with its loss."""
    algorithm: Any = recipe.algorithm
    arguments = arguments_of(algorithm.loss)
    if arguments is None:
        from torchrl import objectives

        near = difflib.get_close_matches(algorithm.loss, dir(objectives), 1)
        message = f"torchrl.objectives has no loss {algorithm.loss!r}"
        yield Problem("E201", ("algorithm", "loss"), message, near[0] if near else None)
        return
    if "critic_network" in arguments:
        message = f"{algorithm.loss} learns from the advantages of its newest batch, not from a replay buffer"
        yield Problem("E302", ("algorithm", "loss"), message, "use ppo, a2c or reinforce")
        return
    strange = [name for name, each in arguments.items() if each.default is each.empty and name not in SLOTS]
    if (strange and strange != ["gamma"]) or ("actor_network" not in arguments and "value_network" not in arguments):
        message = f"{algorithm.loss} is made of {', '.join(strange) or 'other things'}, which transitions do not give"
        yield Problem("E302", ("algorithm", "loss"), message, "use a loss of actor_, qvalue_ and value_network")
        return
    for name in algorithm.options:
        where = ("algorithm", "options", name)
        if name in ELSEWHERE:
            yield Problem("E302", where, f"{name} follows from the recipe", f"write {ELSEWHERE[name]}"
                          if ELSEWHERE[name] else "remove it")  # fmt: skip
        elif name not in arguments or name in SLOTS:
            near = difflib.get_close_matches(name, set(arguments) - set(SLOTS), 1)
            yield Problem("E101", where, f"{algorithm.loss} has no option {name!r}", near[0] if near else None)
    yield from check_off_policy(recipe)


class _Any:
    """Stands for a network whose sizes do not matter yet."""

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return {"weight": torch.zeros(1)}


def heads(distribution: Any, options: TorchRLLossOptions) -> dict[str, Head]:
    """The networks that the loss takes; critics as often as torchrl copies them.

    Raises:
        Unbuildable: torchrl refuses.
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
    check=check,
    defaults=DEFAULTS,
    slots=("policy", "qvalue", "value"),
    own_slots=(OWN,),
    heads=heads,
    acts_in={
        "Discrete": lambda options: acts(options.loss, discrete=True),
        "Box": lambda options: acts(options.loss, discrete=False),
    },
    updates_per_frame=1.0,
    fragile=True,
)
def make_torchrl_loss(
    options: TorchRLLossOptions, networks: Mapping[str, Network], distribution: Distribution
) -> Algorithm:
    """The loss over the networks of its slots."""
    return TorchRLLoss(options, networks, distribution)
