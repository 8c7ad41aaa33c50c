"""What a run writes down of where it comes from."""

from importlib import metadata

from rlrecipe.runs.provenance import PACKAGES, versions


def test_versions_are_those_of_the_installed_packages() -> None:
    found = versions()
    assert {name: found[name] for name in PACKAGES if name in found} == {
        name: metadata.version(name) for name in PACKAGES if name in found
    }
    assert {"torch", "numpy", "rlrecipe"} <= found.keys()
