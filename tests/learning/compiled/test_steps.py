"""Every optimizer's step in native code: one package of all of them, as each package takes tens of seconds."""

from pathlib import Path

import torch

from rlrecipe.interfaces import Objective
from rlrecipe.learning.compiled.functions import step_function
from rlrecipe.learning.compiled.native import _moved
from rlrecipe.learning.compiled.package import Job, build, load
from rlrecipe.learning.objectives import Objectives
from rlrecipe.learning.parameters import Parameters
from rlrecipe.learning.update import Piece
from tests.optim.test_optimizers import CASES, gradients, optimizer, tensors

#: Each optimizer once, with the most options.
OPTIONS = {name: options for name, options, _ in CASES}


def piece_of(name: str) -> Piece:
    """The piece that an optimizer steps, with rates by slot for every other one."""
    options, groups = OPTIONS[name], {"value": 1e-2} if len(name) % 2 else {}
    objectives = Objectives(
        [Objective(lambda *_: (torch.zeros(()), {}))], Parameters(tensors()), optimizer(name, options), groups
    )
    return objectives.parts[0]


def test_compiled_steps_of_every_optimizer_are_the_eager_ones(tmp_path: Path) -> None:
    functions = [step_function(piece_of(name), clip_norm=1.0) for name in OPTIONS]
    eager = [_moved(piece, torch.zeros_like(piece.layout.flat)) for piece in map(piece_of, OPTIONS)]
    native = [[tensor.clone() for tensor in given] for given in eager]
    start = [given[0].clone() for given in eager]

    def steps(*flat: torch.Tensor) -> tuple[torch.Tensor, ...]:
        left, results = list(flat), list[torch.Tensor]()
        for function, given in zip(functions, eager, strict=True):
            own, left = left[: len(given)], left[len(given) :]
            results += function(*own)
        return tuple(results)

    build([Job(steps, [tensor for given in native for tensor in given], tmp_path / "steps.pt2")], tmp_path)
    run = load((tmp_path / "steps.pt2").read_bytes(), tmp_path)
    for step in range(20):
        gradient = torch.cat([each.reshape(-1) for each in gradients(step)])
        for given in (*eager, *native):
            given[1].copy_(gradient)
        for function, given in zip(functions, eager, strict=True):
            function(*given)
        run([tensor for given in native for tensor in given])
    for name, before, mine, its in zip(OPTIONS, start, eager, native, strict=True):
        assert not torch.equal(mine[0], before), name
        for one, other in zip(mine, its, strict=True):
            torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6, msg=f"{name} differs")
