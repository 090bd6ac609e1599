"""hierflow's command line, in processes of their own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

HIERFLOW = [sys.executable, "-c", "from hierflow.cli import main; main()"]


class Finished(NamedTuple):
    """A command that has ended well.

    Attributes:
        seconds: wall time, from the process's start to its end.
        work: CPU seconds, which say more on a machine that others use too.
        printed: the object it printed.
    """

    seconds: float
    work: float
    printed: dict[str, Any]


def hierflow(command: str, document: Path) -> Finished:
    """Run a command to its end.

    Raises:
        CalledProcessError: it failed.
    """
    began, before = time.monotonic(), _work()
    done = subprocess.run(
        [*HIERFLOW, command, str(document), "--json"], env=environment(), check=True, capture_output=True
    )
    return Finished(time.monotonic() - began, _work() - before, json.loads(done.stdout))


def _work() -> float:
    """CPU seconds of all processes that this one has started, and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def written(folder: Path, document: Mapping[str, Any]) -> Path:
    """The document in `folder`, which keeps all it makes there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "set.yaml"
    attributes = {**document["attributes"], "storage": {"path": "./out"}}
    path.write_text(yaml.safe_dump({**document, "attributes": attributes}), "utf-8")
    return path


def environment() -> dict[str, str]:
    """That of this process, without a Dagster of its own."""
    return {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
