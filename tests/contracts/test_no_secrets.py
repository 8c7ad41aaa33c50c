"""What only the user may know reaches no file of a run."""

from pathlib import Path

import pytest

from tests import small

CANARY = "canary-5f3a9c"


def test_secrets_of_the_environment_and_of_options_stay_out_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_API_KEY", "MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, CANARY)
    monkeypatch.setattr(
        "sys.argv", ["rlrecipe", "run", "x.yaml", "--run-dir", "y", "-s", f"loggers.0.api_key={CANARY}"]
    )
    small.train(small.STATEFUL, tmp_path / "run")
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path.name for path in files if CANARY.encode() in path.read_bytes()] == []
    assert "loggers.0.api_key=***" in (tmp_path / "run/provenance.json").read_text()
