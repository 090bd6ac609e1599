"""A Dagster project of somebody else's, made on the spot by `create-dagster`, and its `dg`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierflow_tests.image_sets import Ended

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Project:
    """A project, used with this interpreter's environment instead of one of its own."""

    root: Path

    @property
    def defs(self) -> Path:
        """Where its components lie."""
        return self.root / "src" / "my_project" / "defs"

    def dg(self, *arguments: str) -> Ended:
        """`dg ARGUMENTS` in the project."""
        return self.call("dg", *arguments)

    def call(self, command: str, *arguments: str) -> Ended:
        """A command of the environment's, at the project's root."""
        return call(self.root, command, *arguments)

    def definitions(self) -> dict[str, Any]:
        """What `dg list defs` lists."""
        ended = self.dg("list", "defs", "--json")
        assert ended.code == 0, ended.stderr
        listed: dict[str, Any] = json.loads(ended.stdout)
        return listed


def make_project(folder: Path) -> Project:
    """A project as `create-dagster project my-project` makes it, without an environment of its own."""
    ended = call(folder, "create-dagster", "project", "my-project", "--no-uv-sync")
    assert ended.code == 0, ended.stderr
    return Project(folder / "my-project")


def call(folder: Path, command: str, *arguments: str) -> Ended:
    """A command of this interpreter's environment in `folder`, with a home and a Dagster home beside it."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", "utf-8")
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(BIN.parent),
        "PYTHONPATH": str(folder / "src"),  # what `pip install --editable .` would do
        "HOME": str(home),
        "DAGSTER_HOME": str(home),
        "DAGSTER_DG_UPDATE_CHECK_ENABLED": "0",
        "COLUMNS": "200",
    }
    ended = subprocess.run(
        [str(BIN / command), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)
