"""The speed comparison, with a measurement that takes no time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks import contenders, speed_tables
from benchmarks.contenders import Contender, UndoneError, checked
from benchmarks.learning import read_rows
from benchmarks.peers.meter import Meter, seconds_to, updates_per_second
from benchmarks.speed import session, worthwhile
from benchmarks.speed_page import write_page
from benchmarks.work import SPEED

OURS, COLD, ONE, TWO = (
    Contender("rlrecipe", 0),
    Contender("rlrecipe", 0, True),
    Contender("sb3", 1),
    Contender("sb3", 2),
)
SECONDS = {OURS: 5.0, COLD: 25.0, ONE: 600.0, TWO: 20.0}
CARD = SPEED["ppo/cartpole"]
REPORT: dict[str, Any] = {**CARD.counts, "progress": [], "episodes": [], "versions": {}}


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, Any]]:
    seen: dict[Contender, int] = {}

    def measure(contender: Contender, seed: int) -> dict[str, Any]:
        if contender.library == "rlox":
            raise UndoneError("rlox cannot")
        number = seen[contender] = seen.get(contender, -1) + 1
        # The warm-up is slow; later rounds slow down together.
        seconds = 500.0 if number == 0 else SECONDS[contender] * number
        figures = {"wall_seconds": seconds, "peak_mb": 100.0}
        return {**contender._asdict(), "seed": seed, **figures, **checked(contender, CARD, REPORT)}

    file = tmp_path / "speed.jsonl"
    session("ppo/cartpole", [OURS, COLD, ONE, TWO, Contender("rlox", 1)], 5, measure, file)
    return read_rows(file)


def test_rounds_are_interleaved_and_the_warm_up_does_not_count(rows: list[dict[str, Any]]) -> None:
    order = [(row["library"], row["threads"], row["cold"]) for row in rows]
    assert order[:6] == [tuple(OURS), tuple(COLD), tuple(ONE), tuple(TWO), ("rlox", 1, False), tuple(OURS)]
    # One thread takes half as long again in the first two.
    assert len(rows) == 6 * 3 + 2 + 1, "what cannot do the work is asked once"
    counted = speed_tables.newest(rows, "ppo/cartpole")
    assert speed_tables.column(counted, OURS).tolist() == [5.0, 10.0, 15.0, 20.0, 25.0]


def test_ratios_are_taken_within_rounds(rows: list[dict[str, Any]]) -> None:
    assert speed_tables.ratio(speed_tables.newest(rows, "ppo/cartpole"), OURS, TWO) == (4.0, 4.0, 4.0)


def test_a_peer_stands_at_its_better_number_of_threads(rows: list[dict[str, Any]]) -> None:
    lines = speed_tables.table(rows, "ppo/cartpole").splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| rlrecipe", "| rlrecipe, cold", "| sb3, 2 threads"]
    assert lines[4].endswith("| 4 [4, 4] | 0.8 [0.8, 0.8] |")


def test_a_ratio_is_of_one_session(rows: list[dict[str, Any]]) -> None:
    def again(library: str, seconds: float, session: str) -> list[dict[str, Any]]:
        found = [row for row in rows if row["library"] == library and not row["cold"]]
        return [row | {"wall_seconds": seconds, "session": session} for row in found]

    later = [*again("rlrecipe", 100.0, "3000"), *again("sb3", 200.0, "3000")]
    cut_short = [row for row in [*again("rlrecipe", 1.0, "3001"), *again("sb3", 1.0, "3001")] if row["round"] < 3]
    alone = [row | {"library": "sbx"} for row in again("sb3", 300.0, "3002")] + again("rlrecipe", 50.0, "3002")
    found = speed_tables.faster(speed_tables.newest([*rows, *later, *cut_short, *alone], "ppo/cartpole"))
    assert {who.library: ratio.value for who, ratio in found.items()} == {"sb3": 2.0, "sbx": 6.0}


def test_the_page_says_who_is_not_there_and_who_is_faster(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    page = tmp_path / "docs" / "speed.md"
    write_page([row | {"machine": "a machine"} for row in rows], page)
    text = page.read_text()
    assert "100,096 frames, 7,820 updates of 256 rows, 9,155 parameters" in text
    assert "- rlox is not here: rlox cannot" in text
    assert "- Not measured here: sbx, single_file, tianshou, torchrl_trainers, rltools." in text
    assert "Faster than rlrecipe here" not in text
    assert "Faster than a cold run of rlrecipe here: sb3, 2 threads." in text
    quick = [row | {"wall_seconds": 1.0} if row["library"] == "sb3" and "undone" not in row else row for row in rows]
    write_page(quick, page)
    assert "Faster than rlrecipe here: sb3" in page.read_text()


def test_the_page_has_pictures_of_what_was_measured(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    curve = [[10 * i, 0.1 * i, float(i)] for i in range(1, 30)]
    write_page([row if "undone" in row else row | {"curve": curve} for row in rows], tmp_path / "speed.md")
    text = (tmp_path / "speed.md").read_text()
    for name in ("ratios", "ppo-cartpole"):
        assert f"](speed/{name}.png)" in text
        with Image.open(tmp_path / "speed" / f"{name}.png") as picture:
            assert picture.size[0] == 900


def test_more_threads_that_do_not_help_are_not_tried_again(tmp_path: Path) -> None:
    seconds = {OURS: 10.0, ONE: 40.0, TWO: 34.0, Contender("sbx", 1): 40.0, Contender("sbx", 2): 35.0}
    kept = worthwhile(list(seconds), seconds)
    assert kept == [OURS, TWO, Contender("sbx", 1), Contender("sbx", 2)]


def test_other_work_is_refused_unless_it_is_labelled() -> None:
    with pytest.raises(UndoneError, match="'updates': 1"):
        checked(OURS, CARD, {**REPORT, "updates": 1})
    said = {"differs": "one update", "exempt": ("updates",)}
    assert checked(OURS, CARD, {**REPORT, "updates": 1, **said})["differs"] == "one update"
    with pytest.raises(UndoneError, match="'frames': 1"):
        checked(OURS, CARD, {**REPORT, "frames": 1, **said})


def test_the_work_of_each_card_is_what_its_recipe_asks_for() -> None:
    """Its networks, and its updates as they lie ahead; what a run has done is counted in the comparison itself."""
    from rlrecipe.assembly.resolve import updates_ahead
    from rlrecipe.recipe.load import load
    from tests import small

    for name, card in SPEED.items():
        recipe = load(card.recipe, card.settings).recipe
        trainer = small.build(recipe_of(card)).trainer
        assert sum(part.flat.numel() for part in trainer.update.parts) == card.parameters, name
        assert updates_ahead(recipe) == pytest.approx(card.work.updates, rel=0.01), name


def recipe_of(card: Any) -> Any:
    from rlrecipe.recipe.dump import data
    from rlrecipe.recipe.load import load

    return data(load(card.recipe, [*card.settings, "runtime.compile=off"]).recipe)


def test_a_run_of_ours_is_read_with_its_weights(tmp_path: Path, finished_run: Path) -> None:
    report = contenders.report_of(OURS, "", finished_run, 100.0)
    assert (report["frames"], report["updates"], report["minibatch"]) == (512, 32, 32)
    assert report["parameters"] == 4 * 8 + 8 + 8 * 2 + 2 + 4 * 8 + 8 + 8 + 1
    assert report["progress"][-1] == (512, 32, 100.0)
    assert report["progress"][0][2] > 50, "all but the loop's time comes before it"
    assert len(report["episodes"]) > 5
    (tmp_path / "checkpoints/x").mkdir(parents=True)
    (tmp_path / "checkpoints/latest").write_text("x")
    with pytest.raises(FileNotFoundError, match=r"policy\.safetensors"):
        contenders.report_of(OURS, "", tmp_path, 1.0)


def test_a_peers_report_is_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no weights"):
        contenders.report_of(ONE, "{}", tmp_path, 1.0)
    (tmp_path / "model.zip").touch()
    assert contenders.report_of(ONE, 'noise\n{"frames": 3}\n', tmp_path, 1.0) == {"frames": 3}


def test_commands_name_card_seed_threads_and_folder(tmp_path: Path) -> None:
    peer = contenders.command(TWO, CARD, 7, tmp_path)
    assert peer[1:] == [
        *("-m", "benchmarks.peers.sb3", "ppo/cartpole", "--seed", "7", "--threads", "2", "--out", str(tmp_path))
    ]
    ours = contenders.command(OURS, SPEED["sac/halfcheetah"], 7, tmp_path)
    assert ours[1:8] == ["-m", "rlrecipe", "run", "sac/halfcheetah", "--seed", "7", "--run-dir"]
    assert "trainer.total_frames=10000" in ours
    assert "evaluation.episodes=1" in ours


def test_speed_and_threshold_are_read_off_the_progress() -> None:
    meter = Meter(frames=100)
    for frames in range(1, 101):
        meter.frame(frames, partial(int, frames * 2))
    assert 40 <= len(meter.progress) <= 51
    assert updates_per_second([(0, 0, 0.0), (10, 20, 10.0), (50, 100, 18.0)]) == 10.0
    assert updates_per_second([]) is None
    episodes = [(i, float(i), 100.0 if i > 30 else 0.0) for i in range(60)]
    assert seconds_to(100.0, episodes) == 50.0
    assert seconds_to(101.0, episodes) is None
    assert seconds_to(None, episodes) is None
