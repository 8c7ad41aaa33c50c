"""A trainer class for each algorithm: a recipe's training in a few lines of Python, without a file or a run directory.

``PPOTrainer("CartPole-v1", total_frames=20_000)`` is the recipe with these options; its classes are made of the
registered algorithms when they are asked for, so that one more algorithm is one more class.
"""

from __future__ import annotations

import difflib
import inspect
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch

from rlrecipe.acting.evaluation import Evaluator
from rlrecipe.assembly.assemble import assemble
from rlrecipe.assembly.trial import Trial
from rlrecipe.clock import Alarm
from rlrecipe.hooks.base import Hook
from rlrecipe.machine import flushing_denormals
from rlrecipe.recipe import registry
from rlrecipe.recipe.load import load
from rlrecipe.recipe.options import Component, Options
from rlrecipe.recipe.schema import Recipe, TrainerOptions
from rlrecipe.runs.evaluate import report
from rlrecipe.streams import Streams
from rlrecipe.torchrl.recipe_trainer import RecipeTrainer
from rlrecipe.trainers.stand_alone import StandAlone

ENDING = "Trainer"
#: Sections of a recipe that are keywords; the others belong to runs.
SECTIONS = ("networks", "optimizer", "collector", "replay_buffer", "exploration", "evaluation", "runtime", "trainer")
#: The classes that were asked for so far, by their algorithm's name.
_classes: dict[str, type[AlgorithmTrainer]] = {}


class AlgorithmTrainer(StandAlone, RecipeTrainer):
    """Trains one algorithm on an environment.

    Args:
        env: an environment's id, or a recipe's section ``env``.
        seed: of every random number.
        hooks: names, recipe options, or hooks built by hand (anything with ``register``), in order.
        logger: takes rows: of torchrl (``log_scalar``), of rlrecipe (``write``), or a list of several.
        progress_bar: show progress on standard error.
        save_trainer_interval: frames between two checkpoints, or another duration (``{"updates": 100}``).
        save_trainer_file: where ``save_trainer`` writes.
        options: of the algorithm, of the section ``trainer``, and whole sections of a recipe, by name.

    Raises:
        TypeError: an option that there is not, with the nearest that there is; or hooks of another kind.
        RecipeError: values that do not fit, all at once.
        HookError: a hook that cannot work here.
    """

    component: ClassVar[Component]
    __signature__: ClassVar[inspect.Signature]

    def __init__(
        self,
        env: str | Mapping[str, Any],
        *,
        seed: int = 0,
        hooks: Sequence[Any] | None = None,
        logger: Any = None,
        progress_bar: bool = False,
        save_trainer_interval: Any = 10_000,
        save_trainer_file: str | Path | None = None,
        **options: Any,
    ) -> None:
        hooks = self._hooks(hooks)
        given = {"env": env, "seed": seed, **self._sections(options)}
        declared = [hook for hook in hooks if isinstance(hook, str | Mapping)]
        trial = Trial.of(load({**given, "hooks": declared} if declared else given))
        self.recipe = trial.recipe
        with flushing_denormals():
            # Hooks are registered with this trainer, below.
            self.assembly = assemble(trial, hooks=False)
        self._take_over(self.assembly.trainer)
        self._register(hooks)
        self._stand_alone(
            logger=logger,
            progress_bar=progress_bar,
            log_interval=self.recipe.trainer.log_interval,
            save_trainer_interval=save_trainer_interval,
            save_trainer_file=save_trainer_file,
        )
        self._schedule()

    @classmethod
    def _hooks(cls, hooks: Any) -> list[Any]:
        """The hooks as a list, each a name, a mapping or an object that registers itself.

        Raises:
            TypeError: they are no list, or one is something else.
        """
        if hooks is None:
            return []
        if isinstance(hooks, str | Mapping) or not isinstance(hooks, Iterable):
            raise TypeError(f"{cls.__name__}: hooks is a list, got {hooks!r}; write hooks=[...] around it")
        found = list(hooks)
        for i, hook in enumerate(found):
            if isinstance(hook, str | Mapping) or (hasattr(hook, "register") and not isinstance(hook, type)):
                continue
            if isinstance(hook, type):
                cure = f"build it: {hook.__name__}(...)"
            elif callable(hook):
                cure = "register a function once the trainer is built: trainer.register_op(point, function)"
            else:
                cure = 'write a name, a mapping such as {"name": "nan_guard"} or an object with register'
            raise TypeError(f"{cls.__name__}: hooks[{i}] is no hook: {hook!r}; {cure}")
        return found

    @classmethod
    def _sections(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options by the section of the recipe that they belong to."""
        algorithm: dict[str, Any] = {"name": cls.component.name}
        whole = options.get("trainer")
        trainer = dict(whole) if isinstance(whole, Mapping) else {}
        sections = {name: options[name] for name in SECTIONS if name in options}
        for name, value in options.items():
            if name in cls.component.options.model_fields:
                algorithm[name] = value
            elif name in TrainerOptions.model_fields:
                trainer[name] = value
            elif name not in SECTIONS:
                names = [*cls.__signature__.parameters]
                nearest = difflib.get_close_matches(name, names, 1)
                cure = f"did you mean {nearest[0]}?" if nearest else f"there are: {', '.join(names)}"
                raise TypeError(f"{cls.__name__} has no option {name!r}; {cure}")
        # What is no section is refused by the recipe, with its place.
        wrong = whole is not None and not isinstance(whole, Mapping)
        return {**sections, "algorithm": algorithm, "trainer": whole if wrong else trainer}

    def _take_over(self, built: RecipeTrainer) -> None:
        """Become the trainer that the recipe's builders have made."""
        RecipeTrainer.__init__(
            self,
            collector=built.collector,
            algorithm=built.algorithm,
            sampler=built.sampler,
            update=built.update,
            clock=built.clock,
            streams=built.streams,
            native=built.updates.native,
            lr_factor=built.lr_factor,
            coefficients=built.coefficients,
            numbers=built.numbers,
            stage=built.stage,
            packing=built.packing,
        )
        for name, module in built.modules.items():
            if name not in self.modules:
                self.register_module(name, module)
        for point, ops in built.points.ops.items():
            self.points.ops[point].extend(ops)

    def _register(self, hooks: Sequence[Any]) -> None:
        """Register them in order; the second of a name has a number, as in a recipe, built by hand or not."""
        declared = iter(self.recipe.hooks)
        same: Counter[str] = Counter()
        for hook in hooks:
            if isinstance(hook, str | Mapping):
                options = next(declared)
                usual, built = options.component.name, options.component.build(options)
            elif isinstance(hook, Hook):
                usual, built = hook.usual_name, hook
            else:
                # It knows its own name.
                hook.register(self)
                continue
            built.register(self, f"{usual}.{same[usual]}" if same[usual] else usual)
            same[usual] += 1

    def _schedule(self) -> None:
        """The recipe's time limit, and its evaluations, whose numbers go into the rows."""
        if (every := self.recipe.evaluation.every) is not None and self.recipe.evaluation.episodes:
            self._evaluations = Alarm(every, self.clock)
            self.register_module("evaluation", self._evaluations)
            self.boundaries.insert(0, self._evaluate)
        if self.recipe.trainer.time_limit is not None:
            self.boundaries.append(self._limit)

    def _evaluate(self) -> None:
        options = self.recipe.evaluation
        if self._evaluations.fires():
            found = self.evaluate(options.episodes, deterministic=options.deterministic)
            for name in ("return_mean", "return_std", "length_mean"):
                self.logged.add({f"eval/episode_{name}": torch.tensor(found[name])})
            self.logged.add({"eval/episodes_cut": torch.tensor(float(found["episodes_cut"]))})

    def _limit(self) -> None:
        limit = self.recipe.trainer.time_limit
        assert limit is not None, "only then is this a boundary"
        if self.clock.count(limit) - self._begun >= limit.amount:
            self.interrupt("trainer.time_limit was reached")

    def train(self) -> None:
        """Train to the end, save where a file is given, and shut the environments down, also after an error."""
        limit = self.recipe.trainer.time_limit
        self._begun = self.clock.count(limit) if limit is not None else 0.0
        with flushing_denormals():
            super().train()

    def evaluate(self, episodes: int = 10, *, seed: int | None = None, deterministic: bool = True) -> dict[str, Any]:
        """Run episodes with the policy as it is, as ``rlrecipe evaluate --json`` reports them.

        Args:
            episodes: how many.
            seed: of the episodes; by default the trainer's.
            deterministic: the most probable actions rather than drawn ones.
        """
        seed = self.recipe.seed if seed is None else seed
        assert self.stage is not None, "it was built from a recipe"
        evaluation = Evaluator(self.stage, Streams(seed), say=self.say).run(episodes, deterministic)
        assert evaluation is not None, "nothing interrupts this evaluation"
        return report(evaluation, None, seed)


def trainer_class(name: str) -> type[AlgorithmTrainer] | None:
    """The class of this name, such as ``PPOTrainer``; None if no algorithm is named so."""
    stem = name.removesuffix(ENDING).lower()
    if not name.endswith(ENDING) or not stem:
        return None
    for component in registry.search("algorithm"):
        if component.name.replace("_", "") == stem:
            return _made(component)
    return None


def trainer_classes() -> Iterator[str]:
    """The names of all of them."""
    for component in registry.search("algorithm"):
        yield _name(component)


def _name(component: Component) -> str:
    """As its options are called: ``PPOOptions`` to ``PPOTrainer``; else from the component's own name."""
    stem = component.options.__name__.removesuffix("Options")
    if stem.lower() != component.name.replace("_", ""):
        stem = component.name.title().replace("_", "")
    return stem + ENDING


def _made(component: Component) -> type[AlgorithmTrainer]:
    if (kept := _classes.get(component.name)) is not None and kept.component is component:
        return kept
    own = {"component": component, "__signature__": _signature(component), "__doc__": _documentation(component)}
    made = type(_name(component), (AlgorithmTrainer,), own)
    made.__module__ = "rlrecipe.trainers"
    _classes[component.name] = made
    return made


def _signature(component: Component) -> inspect.Signature:
    """Every option by name: the algorithm's, those of the section trainer, the other sections."""
    of_base = [p for p in inspect.signature(AlgorithmTrainer.__init__).parameters.values() if p.name != "self"]
    own = [parameter for parameter in of_base if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    further: list[inspect.Parameter] = []
    for model in (component.options, TrainerOptions):
        for name, parameter in inspect.signature(model).parameters.items():
            # The bare type: bounds are checked, and told, by the options.
            further.append(parameter.replace(annotation=model.model_fields[name].annotation))
    sections = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in SECTIONS]
    by_name = {parameter.name: parameter for parameter in (*own, *further, *sections)}
    return inspect.Signature(list(by_name.values()))


def _documentation(component: Component) -> str:
    """The algorithm's own line, and the meaning of each option."""
    lines = [(inspect.getdoc(component.options) or component.name).split("\n")[0], "", "Args:"]
    lines += [f"    {line.strip()}" for line in (AlgorithmTrainer.__doc__ or "").split("\n")[3:10]]
    lines += [f"    {name}: {meaning}" for name, meaning in _meanings(component.options, TrainerOptions)]
    lines += [f"    {name}: {meaning}" for name, meaning in _meanings(Recipe) if name in SECTIONS]
    return "\n".join(lines)


def _meanings(*models: type[Options]) -> Iterator[tuple[str, str]]:
    for model in models:
        for name, field in model.model_fields.items():
            yield name, field.description or ""
