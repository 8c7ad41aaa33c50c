"""rlox: buffers and advantages in Rust, networks and updates in torch; its ``Trainer`` and its callbacks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from benchmarks.cards import Card
from benchmarks.peers.meter import Counts, Meter, Options, main
from benchmarks.work import SPEED

SAME_ROWS = "the updates of one round all draw the same rows: it seeds a draw with the number of the frame"


def on_policy(card: Card, seed: int) -> Any:
    """Its PPO or A2C."""
    from rlox import GymVecEnv, Trainer
    from rlox.collectors import RolloutCollector

    asked = card.peer.options
    # It halves the squared error of the value before it weighs it.
    chosen = {"n_envs": card.peer.num_envs, "n_steps": asked["n_steps"], "ent_coef": 0.0, "vf_coef": 1.0}
    discounts = {"gamma": asked.get("gamma", 0.99), "gae_lambda": asked.get("gae_lambda", 1.0)}
    if card.algorithm == "ppo":
        chosen |= {name: asked[name] for name in ("n_epochs", "batch_size")}
        chosen |= {"learning_rate": asked["learning_rate"].start, "anneal_lr": asked["learning_rate"].linear}
        chosen |= {"clip_eps": asked["clip_range"].start, "clip_vloss": False}
    model = Trainer(card.algorithm, env=card.env_id, config={**chosen, **discounts}, seed=seed).algo
    # For CartPole-v1 it would take an environment of its own.
    env = GymVecEnv(card.env_id, n_envs=card.peer.num_envs, seed=seed)
    model.collector = RolloutCollector(card.env_id, n_envs=card.peer.num_envs, seed=seed, env=env, **discounts)
    return model


def off_policy(card: Card, seed: int) -> Any:
    """Its DQN, SAC or TD3."""
    import gymnasium as gym
    import numpy as np
    from rlox import Trainer

    asked = dict(card.peer.options)
    # It resets without a seed, and draws from the global generators.
    env = gym.wrappers.RecordEpisodeStatistics(gym.make(card.env_id))
    env.reset(seed=seed)
    env.action_space.seed(seed)
    np.random.seed(seed)
    widths = asked.pop("policy_kwargs")["net_arch"]
    if card.algorithm == "dqn":
        asked["target_update_freq"] = asked.pop("target_update_interval")
        # It updates at frames 0, 256, 512, ... where others do at the end of a round: the same number from here.
        asked["learning_starts"] -= asked["learning_starts"] % asked["train_freq"]
        asked |= {"hidden": widths[0], "double_dqn": False}
    elif card.algorithm == "td3":
        asked["exploration_noise"] = asked.pop("action_noise")
        asked |= uneven(env, widths)
    else:
        asked["hidden"] = widths[0]
    model = Trainer(card.algorithm, env=env, config=asked, seed=seed).algo
    if card.algorithm == "td3":
        # The second critic is made as a copy of a given first one, weights included.
        for layer in model.critic2.net[::2]:
            layer.reset_parameters()
        model.critic2_target.load_state_dict(model.critic2.state_dict())
    return model


def uneven(env: Any, widths: list[int]) -> dict[str, Any]:
    """An actor and a critic of its kind with hidden layers of different widths."""
    from rlox.networks import DeterministicPolicy, QNetwork
    from torch import nn

    def hidden(*sizes: int) -> list[nn.Module]:
        return [module for a, b in pairwise(sizes) for module in (nn.Linear(a, b), nn.ReLU())]

    features, actions = env.observation_space.shape[0], env.action_space.shape[0]
    actor, critic = DeterministicPolicy(features, actions), QNetwork(features, actions)
    actor.net = nn.Sequential(*hidden(features, *widths), nn.Linear(widths[-1], actions), nn.Tanh())
    critic.net = nn.Sequential(*hidden(features + actions, *widths), nn.Linear(widths[-1], 1))
    return {"actor": actor, "critic": critic}


class Count:
    """What its own counters and optimizers tell about a run."""

    def __init__(self, model: Any, meter: Meter) -> None:
        import torch

        self.model, self.meter = model, meter
        self.frames, self.minibatch, self.reported = 0, 0, 0
        owned = vars(model).values()
        self.optimizers = [value for value in owned if isinstance(value, torch.optim.Optimizer)]
        critics = (getattr(getattr(model, "policy", model), name, None) for name in ("critic", "critic1", "q_network"))
        critic = next(found for found in critics if found is not None)

        def rows(_: Any, given: tuple[Any, ...], __: Any) -> None:
            # Collecting and targets need no gradients, so this is an update.
            if torch.is_grad_enabled():
                self.minibatch = len(given[0])
                handle.remove()

        handle = critic.register_forward_hook(rows)

    @property
    def updates(self) -> int:
        """Steps of the optimizer that steps most often."""
        states = (next(iter(optimizer.state.values()), {"step": 0}) for optimizer in self.optimizers)
        return max(int(state["step"]) for state in states)

    @property
    def parameters(self) -> int:
        """How many numbers its optimizers step."""
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        return sum(parameter.numel() for group in groups for parameter in group["params"])

    def on_step(self, **_: Any) -> bool:
        """After a rollout, or a frame where there are none: it goes on."""
        if hasattr(self.model, "env"):
            self.frames = self.model._global_step
            if self.model.env.episode_count > self.reported:
                self.reported += 1
                self.meter.episode(self.frames, float(self.model.env.return_queue[-1]))
        else:
            self.count_rollout(self.model.collector)
        self.meter.frame(self.frames, lambda: self.updates)
        return True

    def count_rollout(self, collector: Any) -> None:
        """The frames of finished and of unfinished episodes: its PPO counts only updates."""
        ended = collector.episode_rewards[self.reported :]
        self.reported += len(ended)
        self.frames = sum(collector.episode_lengths) + int(collector._ep_lengths.sum())
        for episode_return in ended:
            self.meter.episode(self.frames, episode_return)


def run(options: Options, meter: Meter) -> Counts:
    """Train a card with rlox."""
    import torch
    from rlox import Callback

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    card = SPEED[options.card].card
    model = (on_policy if "n_steps" in card.peer.options else off_policy)(card, options.seed)
    count = Count(model, meter)
    follower = Callback()
    follower.on_step = count.on_step
    model.callbacks.callbacks.append(follower)
    # Whole rounds: it would leave out a last one that goes past the end.
    model.train(card.peer.frames)
    model.save(str(options.out / "model.pt"))
    differs = SAME_ROWS if card.algorithm == "dqn" else None
    return Counts(count.frames, count.updates, count.minibatch, count.parameters, differs)


if __name__ == "__main__":
    main(run, ("rlox", "torch", "gymnasium", "numpy"), lambda card: SPEED[card].work.total_frames)
