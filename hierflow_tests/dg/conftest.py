"""One project for all tests, a copy for each."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hierflow_tests.dg.projects import Project, make_project


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    pytest.importorskip("create_dagster")
    project = make_project(tmp_path_factory.mktemp("made"))
    scaffolded = project.dg("scaffold", "defs", "hierflow.ImageSet", "my_set")
    assert scaffolded.code == 0, scaffolded.stderr
    return project


@pytest.fixture
def project(_made: Project, tmp_path: Path) -> Project:
    """A project in which the set `my_set` has been scaffolded."""
    return Project(Path(shutil.copytree(_made.root, tmp_path / "my-project")))
