"""Words of other libraries, and where recipes say the same.

Words of stable-baselines3, CleanRL, RLlib and torchrl's examples. Names that are merely misspelled need no entry: the
nearest valid one is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rlrecipe.recipe.errors import Path
from rlrecipe.recipe.shape import RECIPE
from rlrecipe.recipe.tree import Node


@dataclass(frozen=True)
class Said:
    """Where a recipe says it, dotted, and what to know of it; without a place, why nowhere."""

    place: str = ""
    note: str = ""


_BATCH = Said("collector.frames_per_batch", "over all environments: steps of one times env.num_envs")
_UPDATES = Said("trainer.updates_per_frame", "or trainer.optim_steps_per_batch, updates after each batch")
_CELLS = Said("networks.policy.num_cells", "and of networks.value or networks.qvalue")
_ALPHA = Said("algorithm.alpha_init", "with fixed_alpha: true it stays")
_NORM = Said("env.transforms", "transforms: [observation_norm, reward_norm]")
_STACK = Said("env.transforms", "transforms: [{name: frame_stack}]")
_LIMIT = Said("env.transforms", "transforms: [{name: step_counter, max_steps: N}]")
_LOGS = Said("loggers", "loggers: [csv, tensorboard], or mlflow, wandb")
_EPS = "exploration: {name: egreedy, eps: {name: linear, start: 1.0, end: 0.05, until: 0.1}}"
_SDE = Said(note="state-dependent exploration (gSDE) is not there; remove it")
_NO_TARGET = Said(note="this algorithm has no target network; remove it")
_SOFT = Said("algorithm.target", "target: {name: soft, tau: 0.005}")
_FILMS = Said(note="rlrecipe evaluate RUN --video FILE films the policy; remove it")
_UNCLIPPED = Said(note="values are not clipped; remove it")
_NOISE = Said("exploration", "exploration: gaussian")
_PRIORITIES = "with replay_buffer: prioritized"

#: Each word with the places that it may mean; the first that the recipe's components have is taken.
WORDS: Mapping[str, tuple[Said, ...]] = {
    **dict.fromkeys(("learning_rate", "lr", "step_size"), (Said("optimizer.lr"),)),
    **dict.fromkeys(("policy_lr", "actor_lr", "pi_lr"), (Said("optimizer.groups", "groups: {policy: {lr: 1e-3}}"),)),
    **dict.fromkeys(("q_lr", "critic_lr", "qf_lr"), (Said("optimizer.groups", "groups: {qvalue: {lr: 1e-3}}"),)),
    **dict.fromkeys(("anneal_lr", "lr_schedule", "lr_decay"), (Said("optimizer.schedule", "schedule: linear"),)),
    **dict.fromkeys(("adam_eps", "rms_prop_eps", "optimizer_eps"), (Said("optimizer.eps"),)),
    **dict.fromkeys(("use_rms_prop", "optimizer_class"), (Said("optimizer", "by its name, optimizer: rmsprop"),)),
    "n_steps": (Said("algorithm.n_steps", "steps of an n-step return"), _BATCH),
    **dict.fromkeys(
        ("num_steps", "nsteps", "rollout_length", "rollout_fragment_length", "rollout_steps", "unroll_length",
         "steps_per_epoch", "train_batch_size", "train_freq", "train_frequency", "buffer_length"),
        (_BATCH,),
    ),
    **dict.fromkeys(
        ("batch_size", "minibatch", "mini_batch_size", "sgd_minibatch_size", "sub_batch_size"),
        (Said("algorithm.minibatch_size"), Said("replay_buffer.batch_size")),
    ),
    **dict.fromkeys(
        ("num_minibatches", "n_minibatches", "nminibatches"),
        (Said("algorithm.minibatch_size", "rows of each: frames_per_batch over their number"),),
    ),
    **dict.fromkeys(("n_epochs", "update_epochs", "noptepochs", "num_sgd_iter"), (Said("algorithm.num_epochs"),)),
    **dict.fromkeys(("gae_lambda", "lam", "lambda", "lambda_", "gae"), (Said("algorithm.lmbda"),)),
    **dict.fromkeys(
        ("clip_range", "clip_coef", "clip_param", "clip_ratio", "cliprange", "eps_clip"),
        (Said("algorithm.clip_epsilon"),),
    ),
    **dict.fromkeys(("clip_range_vf", "clip_vloss", "vf_clip_param"), (_UNCLIPPED,)),
    **dict.fromkeys(
        ("ent_coef", "entropy_coef", "ent_weight", "entropy_cost"), (Said("algorithm.entropy_coeff"), _ALPHA)
    ),
    **dict.fromkeys(("alpha", "temperature", "init_alpha"), (_ALPHA, Said("replay_buffer.alpha", _PRIORITIES))),
    **dict.fromkeys(("autotune", "auto_alpha"), (Said("algorithm.fixed_alpha", "the other way round"),)),
    **dict.fromkeys(
        ("vf_coef", "value_coef", "vf_loss_coeff", "value_loss_coef", "critic_coef"), (Said("algorithm.critic_coeff"),)
    ),
    **dict.fromkeys(
        ("max_grad_norm", "grad_clip", "clip_grad_norm", "gradient_clip", "clip_grad"), (Said("trainer.clip_norm"),)
    ),
    **dict.fromkeys(("norm_adv", "normalize_adv", "advantage_norm"), (Said("algorithm.normalize_advantage"),)),
    **dict.fromkeys(("use_sde", "sde_sample_freq", "use_expln", "sde"), (_SDE,)),
    **dict.fromkeys(("tau", "polyak"), (Said("algorithm.target.tau"), _SOFT, _NO_TARGET)),
    **dict.fromkeys(
        ("target_update_interval", "target_network_frequency", "target_update_freq"),
        (Said("algorithm.target", "target: {name: hard, every: N}, in frames"),),
    ),
    **dict.fromkeys(("policy_frequency", "policy_freq"), (Said("algorithm.policy_delay"),)),
    "target_policy_noise": (Said("algorithm.policy_noise"),),
    "target_noise_clip": (Said("algorithm.noise_clip"),),
    **dict.fromkeys(("buffer_size", "replay_size", "memory_size"), (Said("replay_buffer.storage.max_size"),)),
    **dict.fromkeys(("prioritized_replay", "per"), (Said("replay_buffer", "replay_buffer: prioritized"),)),
    **dict.fromkeys(
        ("learning_starts", "start_steps", "warmup_steps", "start_timesteps"),
        (Said("collector.init_random_frames"),),
    ),
    **dict.fromkeys(("gradient_steps", "utd", "utd_ratio", "replay_ratio", "update_to_data_ratio"), (_UPDATES,)),
    **dict.fromkeys(
        ("exploration_fraction", "exploration_initial_eps", "exploration_final_eps", "start_e", "end_e", "epsilon",
         "epsilon_timesteps", "eps_start", "eps_end", "eps_decay"),
        (Said("exploration.eps", _EPS), Said("exploration", _EPS)),
    ),
    **dict.fromkeys(("action_noise", "exploration_noise", "noise_std"), (_NOISE,)),
    "policy": (Said("networks.policy", "policy: mlp, its layers and its distribution"),),
    **dict.fromkeys(("net_arch", "hidden_sizes", "hidden_dim", "hidden_layers", "fcnet_hiddens", "layers"), (_CELLS,)),
    **dict.fromkeys(("activation_fn", "fcnet_activation"), (Said("networks.policy.activation"),)),
    **dict.fromkeys(("policy_kwargs", "ortho_init"), (Said("networks", "networks: {policy: {num_cells: [64, 64]}}"),)),
    **dict.fromkeys(("features_extractor_class", "cnn"), (Said("networks.encoder", "encoder: nature_cnn"),)),
    **dict.fromkeys(("use_lstm", "lstm", "recurrent"), (Said("networks.memory", "memory: lstm, with ppo"),)),
    **dict.fromkeys(
        ("total_timesteps", "n_timesteps", "num_timesteps", "timesteps", "max_timesteps", "num_train_steps", "steps"),
        (Said("trainer.total_frames"),),
    ),
    **dict.fromkeys(("n_envs", "num_env", "n_env", "num_workers", "num_rollout_workers"), (Said("env.num_envs"),)),
    **dict.fromkeys(("env_id", "gym_id", "environment", "env_name"), (Said("env.env_name"),)),
    **dict.fromkeys(("env_kwargs", "env_args", "env_config"), (Said("env.kwargs"),)),
    **dict.fromkeys(("env_wrapper", "wrappers", "wrapper"), (Said("env.transforms"),)),
    **dict.fromkeys(
        ("normalize", "normalise", "norm_obs", "norm_reward", "normalize_observations", "vec_normalize",
         "normalize_kwargs", "observation_filter"),
        (_NORM,),
    ),
    **dict.fromkeys(("frame_stack", "frame_stack_size", "n_stack"), (_STACK,)),
    **dict.fromkeys(("max_episode_steps", "max_frames_per_traj", "time_limit_steps", "horizon"), (_LIMIT,)),
    **dict.fromkeys(("cuda", "use_cuda", "gpu", "device"), (Said("runtime.device", "device: cuda"),)),
    **dict.fromkeys(("double_q", "double_dqn"), (Said("algorithm.double"),)),
    **dict.fromkeys(("capture_video", "save_video", "record_video"), (_FILMS,)),
    "render_mode": (_FILMS,),
    "torch_deterministic": (Said("runtime.deterministic"),),
    "torch_compile": (Said("runtime.compile"),),
    "num_threads": (Said("runtime.threads"),),
    **dict.fromkeys(("eval_freq", "eval_interval", "evaluation_interval"), (Said("evaluation.every"),)),
    **dict.fromkeys(("n_eval_episodes", "eval_episodes", "evaluation_duration"), (Said("evaluation.episodes"),)),
    **dict.fromkeys(("save_freq", "save_interval", "checkpoint_freq", "save_trainer_interval"),
                    (Said("checkpoint.every"),)),
    **dict.fromkeys(("tensorboard_log", "track", "wandb", "wandb_project_name", "wandb_entity", "logger"), (_LOGS,)),
    **dict.fromkeys(("verbose", "progress_bar"), (Said(note="say it on the command line: -v or -q; remove it"),)),
    "callback": (Said("hooks"),),
    "callbacks": (Said("hooks"),),
}  # fmt: skip


def hint(root: Node, path: Path) -> str | None:
    """Where a recipe says what another library calls by the key at the end of ``path``; None for other keys."""
    key = str(path[-1])
    dotted = ".".join(map(str, path))
    places = [said for said in WORDS.get(key, ()) if said.place != dotted]
    said = next((each for each in places if known(root, each.place) is not False), None)
    if said is None:
        return None
    # Beside the right place, its last word is enough.
    parent, _, last = said.place.rpartition(".")
    place = last if path[:-1] and parent == ".".join(map(str, path[:-1])) else said.place
    if not place:
        return f"{key}: {said.note}"
    return f"write it as {place} ({said.note})" if said.note else place


def known(root: Node, place: str) -> bool | None:
    """Whether a recipe has an option at a dotted place; None where the recipe does not say by what component."""
    shape, node = RECIPE, root
    for part in place.split(".") if place else ():
        model = shape.options(node)
        if model is None and shape.items is None:
            return None
        inner = shape.child(node, part) if model is not None else shape.items
        if inner is None:
            return False
        shape, node = inner, node.child(part) or Node({})
    return True
