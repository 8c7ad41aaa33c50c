"""What a component's options are asked by others, of options that derive from nothing but ``Options``."""

from rlrecipe.recipe import asked
from rlrecipe.recipe.options import Options, option


class Bare(Options):
    """Options without any option."""


class Given(Options):
    """Options with options of the usual names, from no base that has them."""

    num_envs: int = option(3, "Environments.")
    env_name: str = option("Given-v0", "Id.")
    kwargs: dict[str, int] = option({"size": 4}, "Arguments.")
    frames_per_batch: int = option(12, "Frames.")
    init_random_frames: int = option(5, "Frames.")
    update_weights_interval: int = option(2, "Batches.")
    minibatch_size: int = option(6, "Rows.")
    gamma: float = option(0.5, "Discount.")
    inputs: list[str] = option(["goal"], "Entries.")
    distribution: Bare = option(Bare(), "Distribution.")


class Rows(Options):
    """A storage's."""

    max_size: int = option(7, "Rows.")


class Buffer(Options):
    """A replay buffer's."""

    storage: Rows = option(Rows(), "Storage.")


def test_options_that_lack_an_option_are_answered_by_its_default() -> None:
    bare = Bare()
    assert asked.num_envs(bare) == 1
    assert asked.env_name(bare) is None
    assert asked.kwargs_of(bare) == {}
    assert asked.frames_per_batch(bare) is None
    assert asked.init_random_frames(bare) == 0
    assert asked.update_weights_interval(bare) == 1
    assert asked.minibatch_size(bare) == 1
    assert asked.discount(bare) == 1.0
    assert asked.inputs_of(bare) is None
    assert asked.distribution_of(bare) is None
    assert asked.groups_of(bare) == {}
    assert asked.schedule_of(bare) is None


def test_options_of_the_usual_names_are_read_from_any_model() -> None:
    given = Given()
    assert asked.num_envs(given) == 3
    assert asked.env_name(given) == "Given-v0"
    assert asked.kwargs_of(given) == {"size": 4}
    assert asked.frames_per_batch(given) == 12
    assert asked.init_random_frames(given) == 5
    assert asked.update_weights_interval(given) == 2
    assert asked.minibatch_size(given) == 6
    assert asked.discount(given) == 0.5
    assert asked.inputs_of(given) == ["goal"]
    assert asked.distribution_of(given) == Bare()


def test_a_buffer_is_as_large_as_its_storage() -> None:
    assert asked.buffer_size(Buffer()) == 7
    assert asked.storage_of(Buffer()) == Rows()
    assert asked.buffer_size(Bare()) is None
    assert asked.buffer_size(None) is None
