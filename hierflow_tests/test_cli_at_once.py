"""Two commands at the same moment: they corrupt nothing, and both come to an end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from hierflow.images import decode_png, read_manifest
from hierflow_tests.image_sets import command, run, write_document

HIERFLOW = str(Path(sys.executable).parent / "hierflow")
PROMPTS = ["a red mug", "a blue mug", "a red chair", "a blue chair", "a green hat", "a black hat"]


def at_once(*started: tuple[Path, Path | None]) -> list[tuple[int, dict[str, object], str]]:
    """Run these documents in processes of their own, each in its Dagster home: exit code, JSON, what was said."""
    processes = []
    for document, home in started:
        environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
        if home is not None:
            home.mkdir(exist_ok=True)
            environment["DAGSTER_HOME"] = str(home)
        processes.append(
            subprocess.Popen(
                [HIERFLOW, "run", str(document), "--json"],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    ended = [(*process.communicate(timeout=300), process.returncode) for process in processes]
    return [(code, json.loads(printed), said) for printed, said, code in ended]


def pixels_of(found: Mapping[str, object]) -> dict[str, bytes]:
    """The images by prompt, of what `hierflow run --json` has printed."""
    manifest = Path(str(found["manifest"]))
    rows = read_manifest(manifest.read_bytes()).to_pylist()
    return {row["prompt"]: decode_png((manifest.parent / row["image_path"]).read_bytes()).tobytes() for row in rows}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    document = write_document(tmp_path_factory.mktemp("alone"), prompts={"text": PROMPTS})
    return pixels_of(run(document).json)


@pytest.mark.parametrize("apart", [False, True], ids=["one-instance", "two-instances"])
def test_two_runs_of_one_set_at_once_corrupt_nothing(
    tmp_path: Path, undisturbed: dict[str, bytes], apart: bool
) -> None:
    document = write_document(tmp_path, prompts={"text": PROMPTS})
    homes = (tmp_path / "one", tmp_path / "two") if apart else (None, None)
    for code, found, said in at_once(*((document, home) for home in homes)):
        # Whoever ends first may have left a partition to the other one, and says that the set is not complete yet.
        assert code == 0 or (not found["complete"] and "is left to run" in said), said
    last = run(document)
    assert (last.code, last.json["complete"], last.json["evaluations"]["executed"]) == (0, True, 0), last.stderr
    assert pixels_of(last.json) == undisturbed
    audit = command("audit", document, "--json")
    assert audit.json["books"]["balanced"] is True
    counted = audit.json["books"]
    assert counted["executed"] == counted["planned"] + counted["redone"]


def test_two_sets_on_one_store_at_once_do_not_meet(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    store = tmp_path / "store"
    documents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        documents.append(
            write_document(tmp_path / name, name=name, prompts={"text": PROMPTS}, storage={"path": str(store)})
        )
    for code, found, said in at_once(*((document, None) for document in documents)):
        assert (code, found["complete"]) == (0, True), said
        assert pixels_of(found) == undisturbed
