"""Which checkpoints are there, without asking the folder."""

from rlrecipe.checkpoint.kept import Kept


def test_names_are_in_order_whatever_order_they_come_in() -> None:
    kept = Kept(["a", "c"])
    kept.add("b")
    kept.add("c")
    assert list(kept.newest_first()) == ["c", "b", "a"]
    assert [kept.before(name) for name in "abcd"] == [None, "a", "b", "c"]
    kept.remove("b")
    kept.remove("b")
    assert list(kept.newest_first()) == ["c", "a"]
    assert kept.before("c") == "a"


def test_one_that_stays_for_good_is_asked_about_once() -> None:
    kept, asked = Kept(list("abcdef")), list[str]()

    def stays(name: str) -> bool:
        asked.append(name)
        return name in "ac"

    assert kept.passing(2, stays) == ["b", "d"]
    kept.add("g")
    kept.remove("b")
    assert kept.passing(2, stays) == ["d", "e"]
    assert asked == ["a", "b", "c", "d", "d", "e"]
    assert list(kept.newest_first()) == ["g", "f", "e", "d", "c", "a"]
