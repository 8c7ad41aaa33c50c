"""The committed reference is what the options say."""

from __future__ import annotations

from docs.make_reference import TARGET, reference
from rlrecipe.recipe.describe import components, kinds


def test_committed_reference_is_up_to_date() -> None:
    assert TARGET.read_text(encoding="utf-8") == reference(), "run `make docs` and commit docs/reference.md"


def test_reference_has_every_option() -> None:
    text = reference()
    for kind in kinds():
        for one in components(kind):
            if "rlrecipe" in one.file.split("/"):
                assert f"### {one.kind}/{one.name}\n" in text
                assert all(f"| `{option.name}` |" in text for option in one.options)
