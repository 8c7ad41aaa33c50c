import os

# Tests run beside each other: threads that spin while they wait would take the others' cores. It moves no bit. Before
# torch is loaded, which reads it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# Registers an environment that several tests use.
from tests import parts as _parts  # noqa: F401 - importing registers it
from tests import slowest, small

# A slow minute of the machine is no failure: what is bounded is counted work.
settings.register_profile("rlrecipe", deadline=None)
settings.load_profile("rlrecipe")


# In the background of a script Ctrl-C is ignored, and would be in every process that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    places, here = slowest.order(), Path(__file__).parent
    items.sort(key=lambda item: places.get(item.path.relative_to(here).as_posix(), len(places)))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled updates of tests are kept apart from the user's, in one place for all processes of these tests."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "rlrecipe-cache"
    # A folder that is kept between sessions spares whoever changes the code the compiling.
    cache = Path(os.environ.get("RLRECIPE_TEST_CACHE", shared))
    # As its owner's alone, or the cache refuses it.
    cache.mkdir(mode=0o700, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RLRECIPE_CACHE", str(cache))
        yield


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Draws of torch's own generator, and its threads, are the same each time, whichever tests run before."""
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of everything that has a state; read it, never write to it."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert small.train(small.STATEFUL, folder).outcome.code == 0
    return folder


@pytest.fixture
def own_components() -> Iterator[None]:
    """Components that the test registers are forgotten after it."""
    with small.own_components():
        yield
