"""Documents to try the command line and the assets on, and what a command left."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml
from click.testing import CliRunner

from hierflow.cli import main
from hierflow.document import load_document
from hierflow.images import read_manifest
from hierflow.launch import Launch, launch
from hierflow.models import registry
from hierflow.spec import ImageSetSpec
from hierflow.stages.context import Stage

FOUR = ["a red mug", "a blue mug", "a red chair", "a blue chair"]
"""Prompts that make two partitions of two, mugs and chairs, below a trunk of one step (with tau 1.5 and 4 steps)."""

ATTRIBUTES: dict[str, Any] = {
    "name": "trial",
    "prompts": {"text": FOUR},
    "diffusion": {"model": "mini", "steps": 4, "prior_steps": 2},
    "sharing": {"tau": 1.5},
    "partitions": {"max_prompts": 2},
    "storage": {"path": "./out"},
    "runs": {"retries": 0},
}


@dataclass(frozen=True)
class Ended:
    """A command that has ended: its exit code and what it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The one line on stdout, which must be an object."""
        (line,) = self.stdout.splitlines()
        plain: dict[str, Any] = json.loads(line)
        assert isinstance(plain, dict)
        return plain


def attributes(**changes: Any) -> dict[str, Any]:
    """The attributes of a small set; a section given is laid over its section, where None takes a
    field out; other values replace."""
    made = copy.deepcopy(ATTRIBUTES)
    for name, value in changes.items():
        if name == "prompts" or not isinstance(value, dict):
            made[name] = value
        else:
            laid = {**made.get(name, {}), **value}
            made[name] = {field: given for field, given in laid.items() if given is not None}
    return made


def write_document(folder: Path, file: str = "set.yaml", **changes: Any) -> Path:
    """A document in `folder`, with `changes` to the small set's attributes."""
    path = folder / file
    path.write_text(yaml.safe_dump({"type": "hierflow.ImageSet", "attributes": attributes(**changes)}), "utf-8")
    return path


def launched(document: Path, spec: ImageSetSpec | None = None, say: Callable[[str], object] = str) -> Launch:
    """Launch the document in this process, or another spec in its place; sentences go to `say`."""
    own = uuid.uuid4().hex
    stage = Stage(spec or load_document(document), document.parent, document, run=own, invocation=own, say=say)
    return launch(stage, document)


def command(*arguments: object) -> Ended:
    """`hierflow ARGUMENTS` in this process, as though in a new one: no model is loaded, no DAGSTER_HOME set."""
    registry._kept.clear()
    with _without_dagster_home():
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


def run(document: Path) -> Ended:
    """`hierflow run DOCUMENT --json`."""
    return command("run", document, "--json")


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below `folder` with its time of change and its bytes; folders with none."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) if path.is_file() else (0, b"")
        for path in sorted(folder.rglob("*"))
    }


def manifest_of(document: Path, name: str = "trial") -> pa.Table:
    """The manifest of a document's set in ./out."""
    return read_manifest((document.parent / "out" / name / "manifest.parquet").read_bytes())


def rows_of(document: Path, name: str = "trial") -> list[dict[str, Any]]:
    """The manifest's rows; their map of scores is a list of pairs."""
    rows: list[dict[str, Any]] = manifest_of(document, name).to_pylist()
    return rows


def images_of(document: Path, name: str = "trial") -> dict[str, bytes]:
    """The PNG that the manifest names for each prompt, those without one left out; ids stand in for prompts that
    occur twice."""
    folder = document.parent / "out" / name
    return {row["prompt"]: (folder / row["image_path"]).read_bytes() for row in rows_of(document, name)}


@contextlib.contextmanager
def _without_dagster_home() -> Iterator[None]:
    home = os.environ.pop("DAGSTER_HOME", None)
    try:
        yield
    finally:
        os.environ.pop("DAGSTER_HOME", None)
        if home is not None:
            os.environ["DAGSTER_HOME"] = home
