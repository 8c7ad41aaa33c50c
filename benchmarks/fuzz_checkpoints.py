"""Checkpoints changed at random, digests recomputed or not: each is used, refused by name, or the one before it is.

``make fuzz-checkpoints`` runs it with a seed and writes ``benchmarks/results/fuzz_checkpoints.json``. Each mutated
run goes through ``evaluate``, ``resume`` or ``load_policy`` in a forked child whose exit code, error line, processor
time and memory are looked at. What must not happen: a bare error of Python's, more than 2 seconds, more than 1 GB.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import resource
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from rlrecipe import load_policy, train
from rlrecipe.checkpoint.verified import canonical, digest
from rlrecipe.cli import main as rlrecipe

RESULT = Path(__file__).parent / "results/fuzz_checkpoints.json"
#: Seconds of processor time, and bytes of memory beyond what the process had when it was forked.
MOST_SECONDS, MOST_BYTES = 2.0, 10**9
NET = {"name": "mlp", "num_cells": [8]}
PPO: dict[str, Any] = {
    "name": "fuzzed",
    "env": {"env_name": "CartPole-v1", "num_envs": 2, "transforms": ["observation_norm"]},
    "algorithm": {"name": "ppo", "num_epochs": 1, "minibatch_size": 32},
    "networks": {"policy": NET, "value": NET},
    "collector": {"frames_per_batch": 64},
    "trainer": {"total_frames": 192},
    "evaluation": {"every": 64, "episodes": 1},
    "checkpoint": {"every": 64, "keep_last": 5},
    "runtime": {"compile": "off", "threads": 1},
}
DQN = {
    **{key: value for key, value in PPO.items() if key not in ("algorithm", "networks", "env")},
    "env": {"env_name": "CartPole-v1", "num_envs": 2},
    "algorithm": "dqn",
    "networks": {"qvalue": NET},
    "replay_buffer": {"name": "prioritized", "batch_size": 16, "storage": {"name": "memory", "max_size": 100}},
    "collector": {"frames_per_batch": 64, "init_random_frames": 64},
}
BASES: dict[str, dict[str, Any]] = {
    "ppo": PPO,
    "dqn": DQN,
    "torch": {**PPO, "checkpoint": {**PPO["checkpoint"], "backend": "torch"}},
    "dcp": {**PPO, "checkpoint": {**PPO["checkpoint"], "backend": "dcp"}},
}
JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 10**9, 10**30, 0.5, -1e308, "", "x", "../../x", "nan", "\x1b[2J", [], {}, [[]], [None] * 50,
    {"$tensor": "x"}, {"$generator": {"bit_generator": "test"}}, {"$dtype": "save"}, {"$piece": "../x"}, [10**9, 10**9],
)  # fmt: skip


# -- changing what is there


def spots(tree: Any) -> list[tuple[Any, Any]]:
    """Every place in a tree of JSON: its container and its key."""
    items = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    return [(tree, key) for key, _ in items] + [spot for _, inner in items for spot in spots(inner)]


def change_tree(tree: Any, rng: random.Random) -> Any:
    """One or two places of a tree are something else, gone, or elsewhere."""
    for _ in range(rng.choice((1, 1, 2))):
        places = spots(tree)
        if not places or rng.random() < 0.03:
            return rng.choice(JUNK)
        container, key = rng.choice(places)
        what = rng.random()
        if what < 0.7:
            container[key] = rng.choice(JUNK)
        elif what < 0.85:
            del container[key]
        elif isinstance(container, dict):
            container[f"{key}x"] = container.pop(key)
        else:
            container.append(container[key])
    return tree


def change_tensors(tensors: dict[str, torch.Tensor], rng: random.Random) -> dict[str, torch.Tensor]:
    """One tensor has another type, shape, name or values, or is gone."""
    name = rng.choice(sorted(tensors))
    tensor = tensors.pop(name)
    changes: list[Callable[[], None]] = [
        lambda: None,
        lambda: tensors.update({f"{name}x": tensor}),
        lambda: tensors.update(
            {name: tensor.to(rng.choice((torch.float64, torch.int32, torch.bool, torch.complex64)))}
        ),
        lambda: tensors.update({name: tensor.reshape(-1)[: max(0, tensor.numel() - 1)].clone()}),
        lambda: tensors.update({name: tensor[None].clone()}),
        lambda: tensors.update({name: torch.zeros(rng.choice(((), (0,), (7,), (3, 5))))}),
        lambda: tensors.update({name: torch.full_like(tensor, 1) * rng.choice((0, 127, -1))}),
    ]
    rng.choice(changes)()
    return tensors


def change_torch(content: bytes, rng: random.Random) -> bytes:
    """A .pt with other tensors: expanded ones, wrong groups, or anything but tensors."""
    groups: Any = torch.load(io.BytesIO(content), weights_only=True)
    group = rng.choice(sorted(groups))
    what = rng.randrange(4)
    if what == 0:
        groups[group] = change_tensors(groups[group], rng)
    elif what == 1:
        name = rng.choice(sorted(groups[group]))
        groups[group][name] = torch.zeros(1).expand(rng.choice((10**6, 10**9, 10**11)))
    elif what == 2:
        groups[group] = rng.choice(JUNK)
    else:
        groups = change_tree(groups, rng)
    file = io.BytesIO()
    torch.save(groups, file)
    return file.getvalue()


def change_bytes(content: bytes, rng: random.Random) -> bytes:
    """Some bits flipped, or an end cut off."""
    if not content or rng.random() < 0.3:
        return content[: rng.randrange(len(content) + 1)]
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 4, 32))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def seal(folder: Path, manifest: Any) -> None:
    """Write a manifest with the true digests of the files there and of itself."""
    if isinstance(manifest, dict):
        manifest.pop("digest", None)
        files: Any = manifest.get("files")
        for file in files if isinstance(files, dict) else ():
            if (folder / Path(file).name).is_file() and isinstance(files[file], dict):
                content = (folder / Path(file).name).read_bytes()
                files[file] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        manifest = {**manifest, "digest": digest(canonical(manifest))}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def mutate(run_dir: Path, rng: random.Random) -> str:
    """Change a run's newest checkpoint, or a file beside it; what was done."""
    newest = sorted((run_dir / "checkpoints").glob("0*"))[-1]
    manifest: Any = json.loads((newest / "manifest.json").read_bytes())
    outside = [run_dir / name for name in ("status.json", "metrics.jsonl", "checkpoints/latest", "checkpoints/best")]
    inside = sorted(path for path in newest.iterdir() if path.name != "manifest.json")
    what = rng.random()
    if what < 0.1:
        file = rng.choice([*inside, newest / "manifest.json", *outside])
        own(file).write_bytes(change_bytes(file.read_bytes(), rng))
        return f"{file.name}: bytes"
    if what < 0.2:
        file = run_dir / "status.json"
        file.write_text(json.dumps(change_tree(json.loads(file.read_bytes()), rng)))
        return "status.json: tree"
    if what < 0.35:
        seal(newest, change_tree(manifest, rng))
        return "manifest.json: tree"
    file = rng.choice(inside)
    content = file.read_bytes()
    if file.suffix == ".json" and rng.random() < 0.9:
        changed, how = json.dumps(change_tree(json.loads(content), rng)).encode(), "tree"
    elif file.suffix == ".safetensors" and rng.random() < 0.8 and (tensors := load(content)):
        changed, how = save(change_tensors(dict(tensors), rng)), "tensors"
    elif file.suffix == ".pt" and rng.random() < 0.8:
        changed, how = change_torch(content, rng), "tensors"
    else:
        changed, how = change_bytes(content, rng), "bytes, sealed"
    own(file).write_bytes(changed)
    seal(newest, manifest)
    return f"{file.name}: {how}"


def own(file: Path) -> Path:
    """A file that shares its bytes with no other checkpoint."""
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)
    return file


# -- using it

USES: dict[str, Callable[[Path], int]] = {
    "evaluate": lambda run: rlrecipe(["-q", "evaluate", str(run), "-n", "1"]),
    "resume": lambda run: rlrecipe(["-q", "resume", str(run), "-s", "trainer.total_frames=256"]),
    "status": lambda run: rlrecipe(["-q", "status", str(run), "--json"]),
    "load_policy": lambda run: _load(run),
}


def _load(run_dir: Path) -> int:
    from rlrecipe.errors import Refusal
    from rlrecipe.recipe.errors import RecipeError

    try:
        policy = load_policy(run_dir)
        policy(policy.observation_space.sample())
    except (Refusal, RecipeError) as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def used(use: str, run_dir: Path) -> dict[str, Any]:
    """How a use in a forked child ended: its exit code, last line, seconds of processor time, bytes of memory."""
    said = run_dir.parent / "said"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = os.fork()
    if child == 0:
        code = 1
        try:
            stream = said.open("w")
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
            resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
            code = USES[use](run_dir)
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error} (--debug shows where)\n")
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status, usage = os.wait4(child, 0)
    lines = said.read_text(errors="replace").strip().splitlines() or [""]
    return {
        "code": os.waitstatus_to_exitcode(status),
        "line": lines[-1][:300],
        "bare": any("(--debug shows where)" in line or "Traceback" in line for line in lines),
        "seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "bytes": max(0, usage.ru_maxrss - before) * 1024,
    }


def main() -> None:
    """Mutate, use, count; exit 1 where something happened that must not."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=1000, help="mutated checkpoints")
    options.add_argument("--seed", type=int, default=0, help="of the mutations")
    options.add_argument("--only", type=int, help="the number of one mutation, which is kept and told in full")
    options.add_argument("--result", type=Path, help="where to write what was counted")
    given = options.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        folder = Path(scratch)
        for name, recipe in BASES.items():
            train(recipe, run_dir=folder / name, quiet=True)
        codes, worst, failed = Counter[str](), {"seconds": 0.0, "bytes": 0}, list[str]()
        for number in range(given.count) if given.only is None else (given.only,):
            rng = random.Random(f"{given.seed} {number}")
            base, use = rng.choice(sorted(BASES)), rng.choice(("evaluate", "resume", "resume", "status", "load_policy"))
            run_dir = folder / "mutated/run"
            shutil.copytree(folder / base, run_dir, copy_function=os.link)
            for file in (
                "status.json",
                "metrics.jsonl",
                "run.log",
                "episodes.jsonl",
                "checkpoints/latest",
                "checkpoints/best",
            ):
                own(run_dir / file)
            own(sorted((run_dir / "checkpoints").glob("0*"))[-1] / "manifest.json")
            what = mutate(run_dir, rng)
            ended = used(use, run_dir)
            codes[f"{use} {ended['code']}"] += 1
            worst = {key: max(value, ended[key]) for key, value in worst.items()}
            bare = ended["bare"] or ended["code"] < 0 or ended["code"] == 1
            if bare or ended["seconds"] > MOST_SECONDS or ended["bytes"] > MOST_BYTES:
                failed.append(f"{number} {base} {use} {what}: {ended}")
                print(failed[-1], flush=True)
            if given.only is not None:
                print(what, ended, (run_dir.parent / "said").read_text(), sep="\n")
            shutil.rmtree(run_dir.parent)
    counted = {
        "command": f"python -m benchmarks.fuzz_checkpoints --count {given.count} --seed {given.seed}",
        "checkpoints": given.count,
        "exit_codes": dict(sorted(codes.items())),
        "bare_errors_or_over_2_s_or_1_GB": len(failed),
        "most_seconds_of_processor_time": worst["seconds"],
        "most_bytes_beyond_the_fork": worst["bytes"],
        "failed": failed,
    }
    text = json.dumps(counted, indent=1) + "\n"
    print(text)
    if given.result is not None:
        given.result.write_text(text)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
