"""This project's networks as the modules that losses of torchrl.objectives are made of."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from rlrecipe.distributions.categorical import Categorical
from rlrecipe.distributions.greedy import Greedy
from rlrecipe.distributions.tanh import Tanh
from rlrecipe.distributions.tanh_normal import StateTanhNormal
from rlrecipe.errors import UnbuildableError
from rlrecipe.interfaces import Network
from rlrecipe.lazy import torch
from rlrecipe.networks.copies import Copies

#: What torchrl calls a network, and the slot that it takes.
SLOTS = {"actor_network": "policy", "qvalue_network": "qvalue", "value_network": "value"}
CURE = "see what it asks of networks, distribution and options in torchrl's reference"


def arguments_of(loss: str) -> Mapping[str, inspect.Parameter] | None:
    """Arguments of a loss's constructor, or None if there is no such loss."""
    from torchrl import objectives

    found = getattr(objectives, loss, None)
    if not loss.endswith("Loss") or not inspect.isclass(found):
        return None
    return {name: each for name, each in inspect.signature(found).parameters.items() if each.kind != each.VAR_KEYWORD}


def wiring(loss: str) -> dict[str, str]:
    """Slots of the networks that a loss takes, by its own names for them.

    A loss of values alone, such as DQNLoss, acts by them: its network is the policy. Without a qvalue_network,
    an actor's value_network values actions, too, as DDPGLoss's does.
    """
    arguments = arguments_of(loss) or {}
    taken = {name: SLOTS[name] for name, each in arguments.items() if name in SLOTS and each.default is each.empty}
    if "value_network" in taken and "qvalue_network" not in taken:
        taken["value_network"] = "qvalue" if "actor_network" in taken else "policy"
    return taken


def attribute(name: str) -> str:
    """A parameter's name as a module's attribute."""
    return name.replace(".", "_")


def is_for_discrete(loss: str) -> bool:
    """Whether a loss is one of numbered choices, not of vectors."""
    numbered = {"action_space", "num_actions"} & set(arguments_of(loss) or {})
    return bool(numbered) or "actor_network" not in wiring(loss)


def is_deterministic(loss: str) -> bool:
    """Whether a loss's policy is a plain module to torchrl; REDQ's is one in name, but has a temperature."""
    arguments = arguments_of(loss) or {}
    actor = arguments.get("actor_network")
    return actor is not None and "Probabilistic" not in str(actor.annotation) and "alpha_init" not in arguments


def module_of(network: Network, after: Callable[[torch.Tensor], Any]) -> torch.nn.Module:
    """A network as a module whose parameters are stand-ins; it reads its inputs side by side."""

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.names = {}
            for name, tensor in network.init(torch.Generator()).items():
                self.names[name] = attribute(name)
                self.register_parameter(self.names[name], torch.nn.Parameter(tensor))

        def forward(self, *inputs: torch.Tensor) -> Any:
            params = {name: getattr(self, own) for name, own in self.names.items()}
            return after(network(params, torch.cat(inputs, -1) if len(inputs) > 1 else inputs[0]))

    return Net()


def actor_of(network: Network, distribution: Any) -> Any:
    """The policy as torchrl's module, by its distribution.

    Raises:
        UnbuildableError: torchrl has no counterpart of it.
    """
    from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential, TensorDictModule
    from torchrl.modules import QValueActor, TanhNormal

    if isinstance(distribution, Greedy):
        return QValueActor(module_of(network, lambda x: x), in_keys=["observation"], action_space="categorical")
    if isinstance(distribution, Tanh):
        return TensorDictModule(module_of(network, distribution.mode), ["observation"], ["action"])
    if isinstance(distribution, Categorical):
        kind, keys, after = torch.distributions.Categorical, ["logits"], lambda x: x
    elif isinstance(distribution, StateTanhNormal):
        kind, keys, after = TanhNormal, ["loc", "scale"], distribution.moments
    else:
        message = "torchrl has no counterpart of this distribution"
        cure = "use categorical, greedy, tanh or {name: tanh_normal, state_dependent: true}"
        raise UnbuildableError(("networks", "policy", "distribution"), message, cure)
    outputs = TensorDictModule(module_of(network, after), ["observation"], keys)
    draw = ProbabilisticTensorDictModule(keys, ["action"], distribution_class=kind, return_log_prob=True)
    return ProbabilisticTensorDictSequential(outputs, draw)


def modules_of(loss: str, networks: Mapping[str, Network], distribution: Any) -> dict[str, Any]:
    """The networks as the modules that a loss takes, by its names for them.

    Raises:
        UnbuildableError: torchrl has no counterpart of the distribution.
    """
    from tensordict.nn import TensorDictModule
    from torchrl import objectives

    keys = vars(getattr(objectives, loss)._AcceptedKeys())
    discrete = is_discrete(distribution)
    critic = ["observation"] if discrete else ["observation", "action"]
    valued = keys["action_value"] if discrete and "action_value" in keys else "state_action_value"
    modules = {}
    for name, slot in wiring(loss).items():
        # Of several copies one: torchrl stacks them itself.
        network = given.network if isinstance(given := networks[slot], Copies) else given
        if slot == "policy":
            modules[name] = actor_of(network, distribution)
        else:
            reads, gives = (["observation"], "state_value") if slot == "value" else (critic, valued)
            modules[name] = TensorDictModule(module_of(network, lambda x: x), reads, [gives])
    return modules


def build_loss(
    loss: str, own: Mapping[str, Any], gamma: float, networks: Mapping[str, Network], distribution: Any
) -> Any:
    """The loss module, with stand-ins for parameters.

    Args:
        loss: name of its class.
        own: its options.
        gamma: discount factor.
        networks: by slot.
        distribution: of the policy.

    Raises:
        UnbuildableError: torchrl refuses.
    """
    from torchrl import objectives
    from torchrl.data import Bounded

    known: dict[str, Any] = (
        {"action_space": "categorical", "num_actions": distribution.features}
        if is_discrete(distribution)
        else {"action_spec": Bounded(-1.0, 1.0, (len(distribution.bounds.low),))}
    )
    arguments = arguments_of(loss) or {}
    known = {name: value for name, value in known.items() if name in arguments}
    if "gamma" in arguments and arguments["gamma"].default is inspect.Parameter.empty:
        known["gamma"] = gamma
    modules = modules_of(loss, networks, distribution)
    try:
        # What stands in for parameters is drawn, but not from the caller's numbers.
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # Meant for those who write losses.
            warnings.filterwarnings("ignore", ".*part of the annotations", UserWarning)
            module = getattr(objectives, loss)(**modules, **known, **own)
        if module.default_value_estimator is not None:
            module.make_value_estimator(gamma=gamma)
    except Exception as error:
        message = f"torchrl cannot build {loss} over this recipe's networks: {error}"
        raise UnbuildableError(("algorithm", "loss"), message, CURE) from error
    return module


def is_discrete(distribution: Any) -> bool:
    """Whether actions are numbers of choices, not vectors within bounds."""
    return not hasattr(distribution, "bounds")


def filled(template: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """Parameters of a module of torchrl, with ``tensors`` in place of their values."""
    from tensordict import TensorDict, TensorDictParams

    values, by_name = TensorDict({}, template.batch_size), {attribute(name): each for name, each in tensors.items()}
    for key in template.keys(True, True):
        *_, name = key if isinstance(key, tuple) else (key,)
        values[key] = by_name[name]
    return TensorDictParams(values, no_convert=True)
