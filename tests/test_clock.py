import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlrecipe.clock import Alarm, Clock
from rlrecipe.recipe.values import Duration


def clock(total: float = 1000, unit: str = "frames") -> Clock:
    return Clock(Duration(total, unit))  # type: ignore[arg-type]


@pytest.mark.parametrize("unit", ["frames", "updates", "episodes"])
def test_a_run_is_done_when_its_total_is_reached(unit: str) -> None:
    one = clock(100, unit)
    setattr(one, unit, 99)
    assert (one.done, one.fraction) == (False, 0.99)
    setattr(one, unit, 100)
    assert (one.done, one.fraction) == (True, 1.0)
    setattr(one, unit, 130)
    assert (one.done, one.fraction) == (True, 1.0)


@pytest.mark.parametrize(
    ("until", "progress"),
    [
        (Duration(1), 0.3),
        (Duration(0.5), 0.6),
        (Duration(0.25), 1.0),
        (Duration(600), 0.5),
        (Duration(100), 1.0),
        (Duration(60, "updates"), 0.5),
        (Duration(40, "episodes"), 0.1),
    ],
)
def test_progress_toward_a_duration_or_a_fraction_of_the_run(until: Duration, progress: float) -> None:
    one = clock()
    one.frames, one.updates, one.episodes = 300, 30, 4
    assert one.progress(until) == pytest.approx(progress)


def test_a_fraction_of_a_run_of_updates_is_of_its_updates() -> None:
    one = clock(200, "updates")
    one.frames, one.updates = 10**6, 50
    assert one.progress(Duration(1)) == 0.25


def test_a_longer_run_keeps_its_first_horizon() -> None:
    one, longer = clock(1000), clock(2000)
    one.frames = 500
    longer.load_state_dict(one.state_dict())
    assert longer.progress(Duration(1)) == 0.5
    assert longer.fraction == 0.25
    longer.horizon = longer.total
    assert longer.progress(Duration(1)) == 0.25


def test_seconds_add_up_over_sessions() -> None:
    one, other = clock(), clock()
    time.sleep(0.002)
    assert one.seconds >= 0.002
    # Not part of the state, which two equal runs share.
    assert "seconds" not in one.state_dict()
    other.seconds_before = 100.0
    other.load_state_dict(one.state_dict())
    assert 100.0 <= other.seconds < 160.0


@given(st.lists(st.integers(1, 500), min_size=1, max_size=30), st.integers(1, 300))
def test_an_alarm_fires_once_for_each_batch_that_crosses_its_interval(batches: list[int], every: int) -> None:
    one = clock()
    alarm = Alarm(Duration(every), one)
    for frames in batches:
        before = one.frames // every
        one.frames += frames
        assert alarm.fires() == (one.frames // every > before)
        assert not alarm.fires()


@given(st.lists(st.integers(1, 500), min_size=2, max_size=20), st.integers(1, 300))
def test_a_saved_alarm_goes_on(batches: list[int], every: int) -> None:
    one, other = clock(), clock()
    alarms = Alarm(Duration(every), one), Alarm(Duration(every), other)
    for i, frames in enumerate(batches):
        one.frames = other.frames = one.frames + frames
        if i < len(batches) // 2:
            alarms[0].fires()
        else:
            alarms[1].load_state_dict(alarms[0].state_dict())
            assert alarms[0].fires() == alarms[1].fires()


@pytest.mark.parametrize("unit", ["updates", "episodes"])
def test_alarms_count_in_their_unit(unit: str) -> None:
    one = clock()
    alarm = Alarm(Duration(10, unit), one)  # type: ignore[arg-type]
    one.frames = 10**6
    assert not alarm.fires()
    setattr(one, unit, 10)
    assert alarm.fires()
