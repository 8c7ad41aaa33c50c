import json
import math
from pathlib import Path

import pytest

from rlrecipe.runs.records import Records


def test_rows_are_lines_and_what_is_not_finite_is_null(tmp_path: Path) -> None:
    records = Records(tmp_path / "x.jsonl")
    row = {"frames": 1, "a": math.nan, "b": math.inf, "c": 0.1}
    written = records.write(row)
    assert written == records.rows()[0] == {"frames": 1, "a": None, "b": None, "c": 0.1}
    assert math.isnan(row["a"])
    records.close()
    json.loads((tmp_path / "x.jsonl").read_text(), parse_constant=lambda name: 1 / 0)


def test_a_file_is_cut_back_and_written_on(tmp_path: Path) -> None:
    records = Records(tmp_path / "x.jsonl")
    records.write({"frames": 1})
    position = records.position()
    records.write({"frames": 2})
    records.close()
    again = Records(tmp_path / "x.jsonl")
    again.cut(position)
    again.write({"frames": 3})
    assert [row["frames"] for row in again.rows()] == [1, 3]
    again.close()


def test_half_a_line_of_a_killed_process_is_cut(tmp_path: Path) -> None:
    records = Records(tmp_path / "x.jsonl")
    records.write({"frames": 1})
    position = records.position()
    records.close()
    with (tmp_path / "x.jsonl").open("ab") as file:
        file.write(b'{"frames": 2, "a"')
    again = Records(tmp_path / "x.jsonl")
    again.cut(position)
    assert again.rows() == [{"frames": 1}]
    again.close()


def test_a_file_that_somebody_removed_is_begun_anew_with_a_warning(tmp_path: Path) -> None:
    records = Records(tmp_path / "x.jsonl")
    records.write({"frames": 1})
    position = records.position()
    records.close()
    (tmp_path / "x.jsonl").unlink()
    again = Records(tmp_path / "x.jsonl")
    with pytest.warns(UserWarning, match="is shorter than when it was saved"):
        again.cut(position)
    again.write({"frames": 2})
    assert again.rows() == [{"frames": 2}]
    again.close()
