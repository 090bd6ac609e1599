"""`hierflow.definitions`: a folder of documents as one code location, loaded without a heavy import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from hierflow.errors import InputError
from hierflow_tests.image_sets import snapshot, write_document

HEAVY = (
    *("torch", "diffusers", "transformers", "matplotlib", "sklearn", "accelerate"),
    *("scipy", "numpy", "pyarrow", "PIL"),
)


def _loaded(folder: Path) -> dg.Definitions:
    from hierflow.definitions import load_definitions

    return load_definitions(folder)


@pytest.fixture(autouse=True)
def _in_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module serves the working directory's `prompts` as it is imported."""
    (tmp_path / "checkout" / "prompts").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "checkout")


def test_every_document_of_the_folder_is_served_and_nothing_is_written(tmp_path: Path) -> None:
    write_document(tmp_path, "one.yaml", name="one")
    write_document(tmp_path, "two.yaml", name="two")
    (tmp_path / "other.yaml").write_text("type: somebody.Else\n", "utf-8")
    (tmp_path / "broken.yaml").write_text("type: [\n", "utf-8")
    before = snapshot(tmp_path)
    definitions = _loaded(tmp_path)
    dg.Definitions.validate_loadable(definitions)
    keys = {key.path[0] for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    assert keys == {"one", "two"}
    jobs = {job.name for job in definitions.resolve_all_job_defs()}
    assert jobs >= {"one", "one_subtrees", "one_finish", "two", "two_subtrees", "two_finish"}
    assert snapshot(tmp_path) == before


def test_a_folder_without_documents_serves_nothing(tmp_path: Path) -> None:
    assert not _loaded(tmp_path).resolve_asset_graph().get_all_asset_keys()


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone.*HIERFLOW_DOCUMENTS"):
        _loaded(tmp_path / "gone")


def test_two_sets_of_one_name_are_refused(tmp_path: Path) -> None:
    write_document(tmp_path, "one.yaml")
    write_document(tmp_path, "two.yaml")
    with pytest.raises(InputError, match=r"two\.yaml: name: 'trial' is also the name of the set in one\.yaml"):
        _loaded(tmp_path)


def test_a_wrong_document_is_refused_with_its_sentence(tmp_path: Path) -> None:
    write_document(tmp_path, "one.yaml", sharing={"tau": -1})
    with pytest.raises(InputError, match=r"one\.yaml:18: sharing\.tau: -1"):
        _loaded(tmp_path)


def test_loading_definitions_imports_nothing_heavy(tmp_path: Path) -> None:
    write_document(tmp_path / "checkout" / "prompts")
    script = (
        "import sys, hierflow.definitions as d;"
        "assert len(d.defs.resolve_asset_graph().get_all_asset_keys()) == 12;"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "[]"


def test_importing_hierflow_imports_neither_dagster_nor_torch() -> None:
    script = f"import sys, hierflow; print([name for name in (*{HEAVY}, 'dagster') if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.stdout.strip() == "[]", ended.stderr
