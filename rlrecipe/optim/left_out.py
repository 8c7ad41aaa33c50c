"""Optimizers of torch's that are none here, each with its reason: a step sees one flat vector, and nothing else."""

from __future__ import annotations

from rlrecipe.recipe.registry import leave_out

_REASONS = {
    "muon": "it makes each weight matrix's step orthogonal, and a flat vector has no matrices; adamw is the nearest",
    "adafactor": "it keeps a row and a column of numbers for each weight matrix and clips each tensor's step, "
    "and a flat vector has neither; adamw is the nearest",
    "lbfgs": "it computes the loss several times a step, and a step here sees one gradient; adam is the usual choice",
    "sparse_adam": "it takes sparse gradients, and the networks' are dense; adam is the same for those",
}
for _name, _reason in _REASONS.items():
    leave_out("optimizer", _name, _reason)
