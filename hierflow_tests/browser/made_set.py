"""A set that the sensor of a running Dagster makes, of prompts that would do harm if they were not escaped."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierflow.assets.names import INVOCATION_TAG, SetNames
from hierflow.document import load_document
from hierflow.stages.context import Stage
from hierflow.stages.making.todo import ATTEMPTS
from hierflow.stages.reports.assembly import is_assessed
from hierflow.store import SetStore
from hierflow_tests.browser.dagster_dev import DagsterDev, dagster_dev, wait
from hierflow_tests.image_sets import write_document

NAMES = SetNames("trial")
SCRIPT = "<script>alert(1)</script> a red mug"
QUOTES = "a \"blue\" 'mug' <img src=x onerror=alert(2)>"
EMOJI = "a blue mug 🎨🛋️ [x](javascript:alert(3))"
RIGHT_TO_LEFT = "كوب أحمر على العشب a red mug"
LONG = f"a red hat{' very' * 397} long."
STRANGE = (SCRIPT, QUOTES, EMOJI, RIGHT_TO_LEFT, LONG)
PLAIN = ("a red chair", "a blue chair", "a red car", "a blue car", "a red house", "a blue house")


@dataclass(frozen=True)
class MadeSet:
    """A set, and the Dagster that serves it.

    Attributes:
        dagster: what serves it.
        document: describes it.
        request: the run of its job that made it.
    """

    dagster: DagsterDev
    document: Path
    request: str

    @property
    def store(self) -> SetStore:
        """The set's store."""
        return Stage(load_document(self.document), self.document.parent, self.document, "test", "test").store

    @property
    def gallery(self) -> Path:
        """The gallery's file."""
        return self.document.parent / "out" / NAMES.name / "gallery.html"

    def write_prompts(self, *prompts: str) -> None:
        """Replace the set's prompts; ids and campaigns follow from their places."""
        _write_prompts(self.document.parent, prompts)

    def runs_of(self, request: str, job: str) -> list[dict[str, Any]]:
        """The runs of a job that the sensor has launched for a request, the oldest first."""
        runs = self.dagster.runs()
        return [run for run in runs if run["tags"].get(INVOCATION_TAG) == request and run["jobName"] == job]

    def partitions_of(self, request: str) -> list[str]:
        """The partitions launched for a request, sorted; one that was launched twice is named twice."""
        return sorted(run["tags"]["dagster/partition"] for run in self.runs_of(request, NAMES.subtree_job))

    def started(self, request: str) -> dict[str, Any] | None:
        """A run of a partition that is at work for a request."""
        runs = self.runs_of(request, NAMES.subtree_job)
        return next((run for run in runs if run["status"] == "STARTED"), None)

    def launch(self) -> str:
        """Launch the set's job and wait for that one run; returns its id."""
        request = self.dagster.launch(NAMES.plan_job)
        wait(lambda: self._has_succeeded(request), f"run {request}")
        return request

    def wait_for_the_end(self, request: str) -> None:
        """Wait until the sensor has seen a request through."""
        wait(lambda: self._is_finished(request), f"the sensor to finish request {request}")

    def _is_finished(self, request: str) -> bool:
        statuses = [run["status"] for run in self.runs_of(request, NAMES.finish_job)]
        assert statuses.count("FAILURE") < ATTEMPTS, "the sensor has given up"
        return "SUCCESS" in statuses and self._is_assessed()

    def _is_assessed(self) -> bool:
        compiled = self.store.plans.current()
        assert compiled is not None
        return is_assessed(self.store, compiled, load_document(self.document).scoring)

    def _has_succeeded(self, request: str) -> bool:
        (status,) = [run["status"] for run in self.dagster.runs() if run["runId"] == request]
        assert status not in ("FAILURE", "CANCELED")
        return bool(status == "SUCCESS")


@contextmanager
def made_set(home: Path, documents: Path) -> Iterator[MadeSet]:
    """The set, served by Dagster, once the sensor has seen its first request through."""
    _write_prompts(documents, (*STRANGE, *PLAIN))
    document = write_document(
        documents,
        prompts={"table": "prompts.csv", "id_column": "sku"},
        diffusion={"steps": 8},
        sharing={"tau": 0.6},
        partitions={"max_prompts": 6},
        runs={"max_concurrent": 2},
    )
    with dagster_dev(home, documents) as dagster:
        request = MadeSet(dagster, document, "").launch()
        made = MadeSet(dagster, document, request)
        made.wait_for_the_end(request)
        yield made


def _write_prompts(folder: Path, prompts: tuple[str, ...]) -> None:
    with (folder / "prompts.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("sku", "prompt", "campaign"))
        for place, prompt in enumerate(prompts):
            writer.writerow((f"s{place}", prompt, "spring" if place % 2 else "<b>autumn</b>"))
