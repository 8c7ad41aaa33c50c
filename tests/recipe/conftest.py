import pytest

from rlrecipe.recipe import registry


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Components that a test registers are gone after it."""
    # All are found first: a module that registers itself meanwhile would do so only once, and be lost.
    for kind in registry.KINDS:
        registry.search(kind)
    monkeypatch.setattr(registry, "_components", dict(registry._components))
