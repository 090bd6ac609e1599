"""A Dagster instance in Postgres, configured by the lines of docs/schedule_and_reruns.md."""

from __future__ import annotations

import re
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy
from click.testing import CliRunner

from hierflow.cli import main
from hierflow_tests.image_sets import write_document

pytestmark = pytest.mark.services

GUIDE = Path(__file__).parents[2] / "docs/schedule_and_reruns.md"


def test_a_set_runs_on_the_documented_postgres_instance(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (settings,) = re.findall(r"```yaml\n(storage:\n  postgres:.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    (variable, scheme) = re.findall(r"export (\w+)=(\S+)://", GUIDE.read_text("utf-8"))[0]
    assert sqlalchemy.make_url(postgres).drivername == scheme
    (tmp_path / "dagster.yaml").write_text(settings, "utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv(variable, postgres)
    document = write_document(tmp_path, prompts={"text": ["a red mug", "a blue mug"]}, diffusion={"steps": 3})

    result = CliRunner().invoke(main, ["run", str(document), "--json"])
    assert result.exit_code == 0, result.output
    with dg.DagsterInstance.get() as instance:
        assert type(instance.run_storage).__module__.startswith("dagster_postgres.")
        statuses = {run.job_name: run.status for run in instance.get_runs()}
        jobs = ("trial", "trial_subtrees", "trial_finish", "trial_quality")
        assert statuses == dict.fromkeys(jobs, dg.DagsterRunStatus.SUCCESS)
    engine = sqlalchemy.create_engine(postgres)
    with engine.connect() as connection:
        assert connection.scalar(sqlalchemy.text("SELECT count(*) FROM runs")) == len(jobs)
    engine.dispose()
