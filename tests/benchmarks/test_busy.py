"""The table of the busy machine."""

from benchmarks.busy import WAYS, table
from rlrecipe.runs.waiting import SETTINGS


def test_the_table_says_how_many_times_slower() -> None:
    found = {"chosen": {0: [200.0, 220.0, 210.0], 1: [100.0, 105.0, 90.0]}, "default": {0: [210.0], 1: [70.0]}}
    assert table(found).splitlines() == [
        "| threads wait | alone | beside 1 |",
        "|---|---|---|",
        "| chosen | 210.0 | 100.0 (2.1 x) |",
        "| default | 210.0 | 70.0 (3.0 x) |",
    ]


def test_every_way_but_ours_and_one_thread_is_the_users() -> None:
    chosen = [name for name, way in WAYS.items() if not way.environ.keys() & set(SETTINGS)]
    assert chosen == ["chosen", "one thread"]
