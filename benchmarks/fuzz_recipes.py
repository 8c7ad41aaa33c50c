"""Mutated recipes: each must end in a valid recipe or in its problems, in bounded time and memory.

``python -m benchmarks.fuzz_recipes --recipes 5000 --seed 0`` takes bundled recipes, changes keys, values, lists and
levels at random, some bytes too, and validates each as a file, as a mapping and with ``-s`` options, probe included.
It counts what ended otherwise (a bare error), took more than 2 s of processor time, or more than 1 GB of memory, and
exits with 1 if anything did. ``--only I`` shows one recipe and what became of it.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import json
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rlrecipe.cli.validate import problems
from rlrecipe.recipe.bundled import bundled, bundled_file
from rlrecipe.recipe.dump import to_yaml
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.load import load
from rlrecipe.recipe.registry import KINDS, search
from rlrecipe.recipe.yaml import read

RESULTS = Path(__file__).parent / "results" / "fuzz_recipes.json"
SECONDS, BYTES = 2.0, 1_000_000_000
#: Numbers, texts and shapes that options seldom get.
ODD: list[Any] = [
    *(0, -1, 1, 2, 3, 7, 2**31, 2**53, 1e-300, 1e300, -0.5, 0.1, True, False, None, "", " ", "x" * 300, "0", "1e6"),
    *("auto", "cpu", "cuda:7", "meta", "mod:Id", "os:system", "../../etc/passwd", "/dev/zero", "~/x", "${HOME}", "a/b"),
    *("http://u:SECRET@host", "file:///etc", "sqlite:////tmp/x.db", "\x1b[31m", "a\0b", "\u202e", "é", "\U0001f600"),
    *(
        [],
        {},
        [[]],
        [{}],
        {"a": {}},
        [1, 2, 3],
        {"name": "x"},
        {"name": None},
        {"frames": 1},
        {"seconds": 0},
        ["x"] * 150,
    ),
    *([None], {"": 1}, {"env_name": "CartPole-v1"}, [0.5, "a", {}], {"name": "linear", "start": 1}, [-1], [10**9]),
]
#: Where components stand, and of which kind.
SLOTS = {
    "hooks": "hook",
    "loggers": "logger",
    "env.transforms": "transform",
    "env": "env",
    "algorithm": "algorithm",
    "optimizer": "optimizer",
    "collector": "collector",
    "replay_buffer": "replay_buffer",
    "replay_buffer.storage": "storage",
    "exploration": "exploration",
    "networks.policy": "network",
    "networks.encoder": "network",
    "networks.policy.distribution": "distribution",
    "optimizer.schedule": "schedule",
    "algorithm.target": "target",
}
IDS = ["CartPole-v1", "Pendulum-v1", "FrozenLake-v1", "Blackjack-v1", "Nope-v0", "CartPole", "cartpole-v1"]


def components() -> list[str]:
    """Names that recipes know."""
    return sorted({component.name for kind in KINDS for component in search(kind)})


@dataclass(frozen=True)
class Case:
    """One mutated recipe: bytes of a file, or a mapping; and options of the command line."""

    content: bytes | dict[str, Any]
    overrides: list[str]


class Mutations:
    """Changes bundled recipes; the same index and seed give the same recipe."""

    def __init__(self, seed: int) -> None:
        self.seed, self.names = seed, components()
        files = [bundled_file(name) for name in bundled()]
        self.recipes = [root.data() for file in files if (root := read(file.read_text(), str(file)).root) is not None]
        self.keys = sorted({key for recipe in self.recipes for _, key in places(recipe) if isinstance(key, str)})

    def case(self, index: int) -> Case:
        """The mutated recipe of an index."""
        rng = random.Random(f"{self.seed}/{index}")
        recipe = copy.deepcopy(rng.choice(self.recipes))
        for _ in range(rng.choice((0, 1, 1, 1, 2, 5))):
            (self._mutate if rng.random() < 0.6 else self._exchange)(recipe, rng)
        overrides = [self._override(recipe, rng) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
        if rng.random() < 0.3:
            return Case(recipe, overrides)
        raw = bytearray(yaml.safe_dump(recipe, allow_unicode=True).encode("utf-8", "surrogatepass"))
        for _ in range(rng.choice((0, 0, 0, 1, 3))):
            at = rng.randrange(len(raw))
            raw[at : at + rng.randrange(8)] = rng.choice(
                [b"? ", b"- ", b"&a ", b"*a", b"!!x ", b"\xff", b"{", b"]", b": "]
            )
        return Case(bytes(raw), overrides)

    def _mutate(self, recipe: dict[str, Any], rng: random.Random) -> None:
        holder, key = rng.choice(list(places(recipe)))
        action = rng.randrange(8)
        if action == 0:
            del holder[key]
        elif action == 1 and isinstance(holder, dict):
            holder[rng.choice([*self.keys, "x", "mod:Id", "a" * 250])] = holder.pop(key)
        elif action == 2:
            holder[key] = {"name": rng.choice(self.names), rng.choice(self.keys): self._value(rng)}
        elif action == 3:
            holder[key] = rng.choice([rng.choice(self.names), rng.choice(IDS)])
        elif action == 4:
            holder[key] = [copy.deepcopy(holder[key]) for _ in range(rng.choice((1, 2, 40, 400)))]
        elif action == 5:
            for _ in range(rng.choice((1, 5, 25))):
                holder[key] = {rng.choice(self.keys): holder[key]}
        elif action == 6 and isinstance(holder, dict):
            holder[rng.choice(self.keys)] = self._value(rng)
        else:
            holder[key] = self._value(rng)

    def _exchange(self, recipe: dict[str, Any], rng: random.Random) -> None:
        """Another component in a place of its kind, with some of its options."""
        slot = rng.choice([*SLOTS])
        component = rng.choice(search(SLOTS[slot]))
        options = {"name": component.name}
        for name in rng.sample([*component.options.model_fields], k=min(len(component.options.model_fields), 3)):
            if rng.random() < 0.5:
                options[name] = self._value(rng)
        holder = recipe
        *above, last = slot.split(".")
        for key in above:
            inner = holder.get(key)
            holder[key] = holder = inner if isinstance(inner, dict) else {"env_name": inner} if key == "env" else {}
        few = rng.choice((1, 1, 2))
        holder[last] = [options] * few if last in ("hooks", "loggers", "transforms") else options

    def _value(self, rng: random.Random) -> Any:
        return copy.deepcopy(rng.choice(ODD))

    def _override(self, recipe: dict[str, Any], rng: random.Random) -> str:
        path = ".".join(str(rng.choice([*self.keys, 0, "name"])) for _ in range(rng.choice((1, 2, 3))))
        if rng.random() < 0.7:
            # One that is there.
            path, value = "", recipe
            while isinstance(value, dict | list) and value and rng.random() < 0.8:
                key = rng.choice([*value] if isinstance(value, dict) else range(len(value)))
                path, value = f"{path}.{key}".lstrip("."), value[key]
        return f"{path}={rng.choice([json.dumps(self._value(rng)), rng.choice(self.names), '[', '{a: b', '? x'])}"


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each mapping or list with each of its keys or indexes, depth first."""
    if isinstance(value, dict | list):
        for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from places(inner)


def outcome(case: Case, folder: Path) -> str:
    """``valid``, ``refused``, or the bare error."""
    try:
        if isinstance(case.content, dict):
            loaded = load(case.content, case.overrides)
            found = problems_of_file(folder, to_yaml(case.content).encode(), case.overrides)
            assert loaded.recipe is not None
        else:
            found = problems_of_file(folder, case.content, case.overrides)
        for problem in found:
            problem.text()
            json.dumps(problem.data())
        return "refused" if found else "valid"
    except RecipeError as error:
        return "refused" if error.problems and str(error) else "an error without problems"
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}: {str(error)[:200]}"


def problems_of_file(folder: Path, raw: bytes, overrides: list[str]) -> Any:
    """What ``rlrecipe validate`` says of a file."""
    file = folder / "fuzz.yaml"
    file.write_bytes(raw)
    return problems(str(file), overrides)


def work(seed: int, indexes: range, results: Any) -> None:
    """Validate the recipes of some indexes, each told with its seconds and what memory it added."""
    warnings.simplefilter("ignore")
    mutations = Mutations(seed)
    with tempfile.TemporaryDirectory() as scratch, Path(os.devnull).open("w") as nowhere:
        os.chdir(scratch)
        sys.stdout = sys.stderr = nowhere
        # What is imported once is nobody's.
        for module in ("torchrl.envs", "torchrl.objectives", "mujoco"):
            importlib.import_module(module)
        outcome(Case(mutations.recipes[0], []), Path(scratch))
        for index in indexes:
            case, before = mutations.case(index), peak()
            started = time.process_time()
            said = outcome(case, Path(scratch))
            results.put((index, said, time.process_time() - started, peak() - before))


def peak() -> int:
    """The most bytes that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Fuzz, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", type=int)
    options = parser.parse_args()
    if options.only is not None:
        case = Mutations(options.seed).case(options.only)
        print(
            case.content.decode(errors="replace") if isinstance(case.content, bytes) else case.content, case.overrides
        )
        with tempfile.TemporaryDirectory() as scratch:
            print(outcome(case, Path(scratch)))
        return
    found = fuzzed(options.seed, options.recipes, options.workers)
    bare = {str(index): said for index, said, _, _ in found if said not in ("valid", "refused")}
    result = {
        "command": f"python -m benchmarks.fuzz_recipes --recipes {options.recipes} --seed {options.seed}",
        "recipes": len(found),
        "outcomes": dict(Counter(said if said in ("valid", "refused") else "bare" for _, said, _, _ in found)),
        "most_seconds": round(max(seconds for _, _, seconds, _ in found), 2),
        "most_megabytes": round(max(added for _, _, _, added in found) / 1e6),
        "bare": bare,
        "slow": {str(index): round(seconds, 1) for index, _, seconds, _ in found if seconds > SECONDS},
        "large": {str(index): round(added / 1e6) for index, _, _, added in found if added > BYTES},
        "missing": sorted(set(range(options.recipes)) - {index for index, *_ in found}),
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    raise SystemExit(any(result[key] for key in ("bare", "slow", "large", "missing")))


def fuzzed(seed: int, recipes: int, workers: int) -> list[tuple[int, str, float, int]]:
    """What became of each recipe; those of a worker that died are missing."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    shares = [range(start, recipes, workers) for start in range(workers)]
    processes = [context.Process(target=work, args=(seed, share, results)) for share in shares]
    for process in processes:
        process.start()
    found = []
    while any(process.is_alive() for process in processes) or not results.empty():
        while not results.empty():
            found.append(results.get())
        time.sleep(0.05)
    return sorted(found)


if __name__ == "__main__":
    main()
