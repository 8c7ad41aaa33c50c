"""What a recipe must satisfy beyond the types of its options."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from rlrecipe.recipe.errors import Path, Problem
from rlrecipe.recipe.evaluation_env import Holder, merged_env
from rlrecipe.recipe.messages import problems_of, unknown_key
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.secrets import CURE
from rlrecipe.recipe.shape import at, components
from rlrecipe.recipe.traits import AlgorithmTraits, LoggerTraits
from rlrecipe.recipe.tree import INVALID, Node, secrets

_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,3})?|mps")
#: Networks that may feed an algorithm's own.
SHARED = ("encoder", "memory")


def check_tree(root: Node) -> Iterator[Problem]:
    """Problems of what was written, told whether or not the options validate."""
    yield from _lengths(root)
    yield from _slots(root)


def check_recipe(recipe: Recipe) -> Iterator[Problem]:
    """Problems of a recipe whose options are all valid: combinations, and what this machine lacks."""
    yield from _updates(recipe)
    yield from _runtime(recipe)
    yield from _evaluation_env(recipe)
    yield from _loggers(recipe)
    checks = {}
    for path, options in components(recipe):
        yield from check_extras([(path, options)])
        if options.component.check is not None:
            # Once for all components of a name: it looks at the whole recipe.
            checks[options.component.check] = True
    for check in checks:
        yield from check(recipe)


def check_extras(found: Iterable[tuple[Path, Options]]) -> Iterator[Problem]:
    """Extras that components need and this machine lacks."""
    for path, options in found:
        component = options.component
        for extra in dict.fromkeys(component.missing()):
            message = f"{component.kind} {component.name!r} needs the extra {extra!r}, which is not installed"
            yield Problem("E401", path, message, f"pip install 'rlrecipe[{extra}]'")


def refused_secrets(root: Node) -> Iterator[Problem]:
    """Secrets in a tree: what a recipe says is written into every run and checkpoint."""
    for path, _ in secrets(root):
        yield secret(path)


def secret(path: Path) -> Problem:
    """A secret at a path, or in a comment."""
    message = "a password, a token or a key: recipes are copied into runs and checkpoints, which are shown to others"
    return Problem("E102", path, message, CURE)


def _lengths(root: Node) -> Iterator[Problem]:
    trainer = root.get("trainer")
    if trainer is not None and not isinstance(trainer.value, dict):
        return
    if not any(root.get("trainer", key) for key in ("total_frames", "total_updates")):
        message = "the length of the run is missing: one of trainer.total_frames and trainer.total_updates"
        yield Problem("E103", ("trainer", "total_frames"), message, "add trainer: {total_frames: 1e6}")
    if all(root.get("trainer", key) for key in ("total_frames", "total_updates")):
        message = "the run's length is given twice, by total_frames and by total_updates"
        cure = "keep one of them; -s KEY=null takes the other away"
        yield Problem("E302", ("trainer", "total_updates"), message, cure, (("trainer", "total_frames"),))


def _slots(root: Node) -> Iterator[Problem]:
    networks, algorithm, shape = root.get("networks"), root.get("algorithm"), at(root, ("algorithm",))
    component = shape.component(algorithm) if shape is not None and algorithm is not None else None
    if component is None:
        return
    traits = AlgorithmTraits.of(component)
    slots = (*traits.slots, *SHARED)
    # An algorithm may learn more than networks: a rate of its own for sac's temperature.
    own = (*slots, *traits.own_slots)
    places = (("networks",), networks, slots), (("optimizer", "groups"), root.get("optimizer", "groups"), own)
    for path, node, slots in places:
        for key in node.value if node is not None and isinstance(node.value, dict) else ():
            if key not in slots:
                yield unknown_key(root, (*path, key), slots, f"network of {component.name}")


def _updates(recipe: Recipe) -> Iterator[Problem]:
    trainer = recipe.trainer
    if trainer.updates_per_frame is not None and trainer.optim_steps_per_batch is not None:
        message = (
            f"updates_per_frame ({trainer.updates_per_frame:g}) and optim_steps_per_batch "
            f"({trainer.optim_steps_per_batch}) both say how many updates there are"
        )
        others = (("trainer", "optim_steps_per_batch"),)
        yield Problem("E302", ("trainer", "updates_per_frame"), message, "remove one of the two", others)


def _runtime(recipe: Recipe) -> Iterator[Problem]:
    device = recipe.runtime.device
    if not _DEVICE.fullmatch(device):
        message = f"expected auto, cpu, cuda, cuda:N or mps, got the text {device!r}"
        yield Problem("E102", ("runtime", "device"), message, "write auto to have one chosen")
    elif recipe.runtime.compile == "on" and device not in ("auto", "cpu"):
        message = f"updates are compiled for the CPU only so far, and this recipe's device is {device}"
        yield Problem("E302", ("runtime", "compile"), message, "use auto or off", (("runtime", "device"),))


def _loggers(recipe: Recipe) -> Iterator[Problem]:
    """Two loggers of one kind would write to one place."""
    seen: set[tuple[str, str]] = set()
    for i, options in enumerate(recipe.loggers):
        key = LoggerTraits.of(options).apart_by
        told = (getattr(options, key) or "") if key else repr([each for each in options if each[0] != "required"])
        if (options.component.name, told) in seen:
            message = f"the logger {options.component.name} stands here twice with the same {key or 'options'}"
            cure = f"remove one of them, or give it another {'exp_name' if hasattr(options, 'exp_name') else 'option'}"
            yield Problem("E302", ("loggers", i), message, cure)
        seen.add((options.component.name, told))


def _evaluation_env(recipe: Recipe) -> Iterator[Problem]:
    """Options of ``evaluation.env`` are options of the environment."""
    root = Node({"env": merged_env(recipe)})
    try:
        Holder.model_validate(root.data())
    except ValidationError as error:
        for problem in problems_of(error, root):
            yield Problem(problem.code, ("evaluation", *problem.path), problem.message, problem.suggestion)


def broken(root: Node, path: Path = ()) -> Iterator[Path]:
    """The places whose value could not be read."""
    if root.value is INVALID:
        yield path
    elif isinstance(root.value, dict):
        for key, node in root.value.items():
            yield from broken(node, (*path, key))
    elif isinstance(root.value, list):
        for index, node in enumerate(root.value):
            yield from broken(node, (*path, index))
