"""Algorithms that users know from other libraries: what takes their place here, or that nothing does yet."""

from __future__ import annotations

from rlrecipe.recipe.registry import leave_out

_MEMORY = (
    "a memory before ppo makes it recurrent: networks.memory: lstm, or gru; `rlrecipe describe network/lstm` has "
    "its options, `rlrecipe show ppo/t_maze` a recipe"
)
_LOSS = "torchrl_loss runs torchrl's {} over a replay buffer: `rlrecipe describe algorithm/torchrl_loss`"
_DATA = "learning from a data set is planned, and not there yet"
_DOUBLE = "dqn is double DQN: `rlrecipe describe algorithm/dqn`"

_REASONS = {
    **dict.fromkeys(("recurrent_ppo", "ppo_lstm", "lstm_ppo", "rppo", "ppo_recurrent", "r2d2"), _MEMORY),
    "cql": f"{_LOSS.format('CQLLoss, or DiscreteCQLLoss,')}; {_DATA}",
    "iql": f"{_LOSS.format('IQLLoss, or DiscreteIQLLoss,')}; {_DATA}",
    "redq": _LOSS.format("REDQLoss"),
    "crossq": _LOSS.format("CrossQLoss"),
    **dict.fromkeys(("td3_bc", "bc", "awr", "awac", "crr", "bcq", "decision_transformer"), _DATA),
    **dict.fromkeys(("ddqn", "double_dqn"), _DOUBLE),
    "a3c": "a2c with the collector multi_sync steps environments in several processes",
    "vpg": "reinforce and a2c are the policy gradients: `rlrecipe describe algorithm/reinforce`",
    **dict.fromkeys(
        ("trpo", "tqc", "qrdqn", "c51", "rainbow", "iqn", "maskable_ppo", "ars", "ppg", "impala", "appo", "dreamer",
         "dreamerv3", "muzero", "her", "mappo", "ippo", "qmix"),
        "it is not there; `rlrecipe list algorithm` has what is",
    ),
}  # fmt: skip

for _name, _reason in _REASONS.items():
    leave_out("algorithm", _name, _reason)
