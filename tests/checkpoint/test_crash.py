import subprocess
import sys
from pathlib import Path


def test_a_save_that_ends_anywhere_leaves_the_old_checkpoint_or_the_new_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.checkpoint.crash_points", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    new, again = map(int, done.stdout.split())
    # Every file's write, fsync, link and rename was a point, twice over.
    assert new > 50
    assert again > 50
