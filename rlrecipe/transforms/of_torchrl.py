"""Transforms of torchrl's that rlrecipe has none of its own for, under their names in snake case.

Names, options and their meanings are read from torchrl's source. A file of this folder with the same name comes first.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import create_model

from rlrecipe.lazy import gymnasium, torch
from rlrecipe.recipe.names import NAMED, SHOWN, Words
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import leave_out, register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.torchrl.source import Argument, arguments, classes, exported, lineage
from rlrecipe.transforms.base import TransformOptions

PACKAGE = ("envs", "transforms")
_BUFFER = "it works on rows of a replay buffer, not on an environment"
_FUNCTION = "it needs a function, which a recipe cannot hold; write a transform of your own and import it"
_MODEL = "it needs a network, which is what networks are for"
_LOADED = "it loads a trained network from elsewhere; a pixel network is a component of networks"
_OWN_STATISTICS = "its statistics would be each environment's own, and none in evaluation; use {}"
_TEXT = "text and other entries that are no tensors are not read here"
_BATCHED = "environments are single ones here, and num_envs steps several"
_ACTIONS = "an action is one decision here, not a chunk or a plan of them"
_REMEMBERS = "it counts over episodes, which no checkpoint of an environment holds"
#: Transforms that have no place in a recipe, and why.
REFUSED = {
    **dict.fromkeys(
        ("BurnInTransform", "MultiStepTransform", "NextObservationDelta", "NextStateReconstructor", "PolicyAgeFilter",
         "RandomCropTensorDict", "Reward2GoTransform"), _BUFFER,
    ),
    **dict.fromkeys(
        ("ConditionalPolicySwitch", "ConditionalSkip", "TerminateTransform", "UnaryTransform", "Hash"), _FUNCTION
    ),
    **dict.fromkeys(("ModuleTransform", "RNDTransform", "MeanActionSelector"), _MODEL),
    **dict.fromkeys(("R3MTransform", "VC1Transform", "VIPTransform", "VIPRewardTransform"), _LOADED),
    **dict.fromkeys(("Tokenizer", "ActionTokenizerTransform", "DecodeVideoTransform"), _TEXT),
    **dict.fromkeys(
        ("AutoResetEnv", "AutoResetTransform", "VecGymEnvTransform", "BatchSizeTransform", "RayTransform"), _BATCHED
    ),
    **dict.fromkeys(
        ("ActionChunkTransform", "MultiAction", "MacroPrimitiveTransform", "URScriptPrimitiveTransform",
         "SatelliteAttitudeTransform"), _ACTIONS,
    ),
    **dict.fromkeys(("TrajCounter", "RandomTruncationTransform"), _REMEMBERS),
    "ActionMask": "no policy reads masks of actions yet",
    "Compose": "transforms are a list: write its parts one after the other",
    "DeviceCastTransform": "runtime.device says where updates run",
    "PinMemoryTransform": "runtime.device says where updates run",
    "DiscreteActionProjection": "an environment's actions can all be taken",
    "LineariseRewards": "an environment pays one number here",
    "EndOfLifeTransform": "use life_loss",
    "TensorDictPrimer": "entries of a policy's own, such as a memory, are not an environment's",
    "gSDENoise": "noise is the policy's own; use exploration or the policy's distribution",
    "Timer": "the wall clock would make no two runs alike",
    "VecNorm": _OWN_STATISTICS.format("observation_norm or reward_norm"),
    "VecNormV2": _OWN_STATISTICS.format("observation_norm or reward_norm"),
}  # fmt: skip
#: Classes that others derive from, and what stands beside them in torchrl's list.
_NO_TRANSFORMS = {"Transform", "ObservationTransform", "TransformedEnv", "RunningMeanStd"}
#: What changes rewards: it stands before the count of returns.
_REWARDS = ("BinarizeReward", "RewardClipping")
_KEY, _KEYS = Annotated[str | list[str], SHOWN], Annotated[list[str | list[str]], SHOWN]
#: A value of any kind: keys in lists of keys, numbers, a plain word; never what torchrl would look up.
_ANY = Annotated[Any, Words()]
#: Where torchrl's text says nothing of an argument.
_MEANINGS = {
    "in_keys": "Entries that it reads.",
    "out_keys": "Entries that it writes.",
    "in_keys_inv": "Entries that it writes on the way to the environment.",
    "out_keys_inv": "Entries that it reads on the way to the environment.",
}
#: Python's types for annotations of torchrl's that mean plain values; anything goes for the others.
_TYPES: dict[str, Any] = {
    "int": int, "float": float, "bool": bool, "str": Annotated[str, NAMED],
    "NestedKey": _KEY, "Sequence[NestedKey]": _KEYS,
    "Sequence[str]": _KEYS, "Sequence[float]": list[float], "Sequence[int]": list[int],
    "torch.dtype": Annotated[str, NAMED],
}  # fmt: skip


def snake_case(name: str) -> str:
    """``TimeMaxPool`` to ``time_max_pool``, ``DTypeCastTransform`` to ``dtype_cast_transform``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])", "_", name.replace("DType", "Dtype")).lower()


@functools.cache
def offered() -> dict[str, str]:
    """Name in recipes and class of each transform that torchrl has, none is refused, and none is rlrecipe's own."""
    known = classes(*PACKAGE)
    names = {snake_case(name): name for name in exported(*PACKAGE) if _is_transform(name)}
    own = {file.stem for file in Path(__file__).parent.glob("*.py")}
    return {name: each for name, each in sorted(names.items()) if each in known and name not in own}


def _is_transform(name: str) -> bool:
    derived = any(each.name == "Transform" for each in lineage(name, classes(*PACKAGE)))
    return derived and name not in _NO_TRANSFORMS and name not in REFUSED


def _type_of(argument: Argument) -> Any:
    words = [word.strip() for word in (argument.annotation or "Any").split("|")]
    if argument.several:
        return _KEYS
    kinds: list[Any] = [_TYPES.get(word) for word in words if word not in ("None", "torch.Tensor", "Tensor")]
    if not kinds or None in kinds:
        return _ANY
    if {"torch.Tensor", "Tensor"} & set(words):
        # A tensor is written as a list of numbers.
        kinds.append(list[float])
    if argument.default is None and not argument.required:
        # In a recipe null restores a default, so that no other option takes it.
        kinds.append(None)
    return functools.reduce(lambda one, other: one | other, kinds)


def _meaning_of(argument: Argument) -> str:
    words = argument.meaning or _MEANINGS.get(argument.name, f"torchrl's {argument.name}.")
    return words[0].upper() + words[1:]


def meaning_of(name: str) -> str:
    """What one of torchrl's classes does."""
    meaning = f"{classes(*PACKAGE)[name].meaning.rstrip('.')} (torchrl's {name})."
    return f"{meaning} Training's returns are of the changed rewards." if name in _REWARDS else meaning


def options_of(name: str) -> type[TransformOptions]:
    """The options model of one of torchrl's classes."""
    known = classes(*PACKAGE)
    fields: dict[str, Any] = {
        one.name: (_type_of(one), option(... if one.required else one.default, _meaning_of(one)))
        for one in arguments(name, known)
    }
    if name in _REWARDS:
        fields["phase"] = (Literal["train"], option("train", "Evaluation reports raw rewards."))
    return create_model(
        f"{name}Options", __base__=TransformOptions, __doc__=meaning_of(name), __module__=__name__, **fields
    )


def _value(argument: Argument, value: Any) -> Any:
    """An option as torchrl takes it: lists of names as keys, of numbers as tensors, dtypes by name."""
    if "torch.dtype" in str(argument.annotation):
        dtype = getattr(torch, str(value), None)
        if not isinstance(dtype, torch.dtype):
            raise ValueError(f"{argument.name} is a dtype such as float32, not {value!r}")
        return dtype
    if isinstance(value, list) and "Tensor" in str(argument.annotation):
        return torch.tensor(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value) and argument.annotation == "NestedKey":
        return tuple(value)
    if isinstance(value, list):
        return [tuple(part) if isinstance(part, list) else part for part in value]
    return value


def _builder(name: str) -> Callable[..., Any]:
    def make(options: TransformOptions, env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
        from torchrl.envs import transforms

        from rlrecipe.torchrl.env import entries_of, of_torchrl

        env, several, kwargs, known = of_torchrl(env), [], {}, classes(*PACKAGE)
        taken = arguments(name, known)
        for one in taken:
            value = getattr(options, one.name)
            if one.several:
                several += _value(one, value)
            elif one.required or value != one.default:
                # A default that is no plain value is torchrl's to fill in.
                kwargs[one.name] = _value(one, value)
        observed, others = entries_of(env)
        of_pictures = any(each.name == "ObservationTransform" for each in lineage(name, known))
        if of_pictures and kwargs.get("in_keys") is None and any(one.name == "in_keys" for one in taken):
            kwargs["in_keys"] = observed
        missing = [key for key in kwargs.get("in_keys") or () if key not in (*observed, *others)]
        if missing:
            raise ValueError(f"no entry is named {missing[0]!r}; there are: {', '.join(map(str, observed + others))}")
        return env.transformed(getattr(transforms, name)(*several, **kwargs))

    make.__doc__ = f"An environment under torchrl's {name}."
    return make


def _register() -> None:
    for name, class_name in offered().items():
        options, meaning = functools.partial(options_of, class_name), meaning_of(class_name)
        decorate = register("transform", name, options=options, meaning=meaning, traits=TransformTraits(wraps=True))
        decorate(_builder(class_name))
    for class_name, reason in REFUSED.items():
        leave_out("transform", snake_case(class_name), f"torchrl's {class_name}: {reason}")


_register()
