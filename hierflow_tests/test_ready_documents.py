"""The documents in `prompts/` are there to be run unedited."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from hierflow.document import load_document
from hierflow.mini.catalogue.grammar import parse_prompt
from hierflow.prompts import PromptSet, load_prompts
from hierflow.spec import ImageSetSpec
from hierflow.stages.context import Stage
from hierflow.stages.embedding.advice import advice

FOLDER = Path(__file__).parents[1] / "prompts"
DOCUMENTS = sorted(FOLDER.glob("*.yaml"))
SPECS = {path: load_document(path) for path in DOCUMENTS}
MINI = [path for path, spec in SPECS.items() if spec.diffusion.model == "mini"]
AS_NAMES = {"ids": lambda path: path.stem}


def prompts_of(path: Path) -> PromptSet:
    return load_prompts(SPECS[path].prompts, FOLDER)


def stage_of(spec: ImageSetSpec) -> Stage:
    return Stage(spec, FOLDER, None, run="r", invocation="i")


@pytest.mark.parametrize("path", DOCUMENTS, **AS_NAMES)
def test_a_document_is_named_like_its_file_says_what_it_is_for_and_has_prompts(path: Path) -> None:
    assert SPECS[path].name == path.stem
    assert path.read_text("utf-8").startswith("# ")
    prompts = prompts_of(path)
    assert len(prompts.distinct) > 40
    assert len(set(prompts.ids)) == len(prompts)


@pytest.mark.parametrize("path", MINI, **AS_NAMES)
def test_a_document_for_the_mini_model_says_what_that_model_can_draw(path: Path) -> None:
    prompts = prompts_of(path)
    assert advice(stage_of(SPECS[path]), prompts) == []
    for text in prompts.distinct:
        parse_prompt(text)  # refuses what the model's grammar does not write, such as colours in the wrong place


@pytest.mark.parametrize("path", MINI, **AS_NAMES)
def test_a_document_for_the_mini_model_is_made_in_about_a_minute(path: Path) -> None:
    assert len(prompts_of(path).distinct) * SPECS[path].diffusion.steps <= 5_000
    assert SPECS[path].sharing.tau > 0


def test_most_documents_run_without_a_download() -> None:
    assert len(MINI) >= 4
    others = {SPECS[path].diffusion.model for path in DOCUMENTS if path not in MINI}
    assert others == {"kandinsky-community/kandinsky-2-2-decoder"}


def test_files_lists_and_tables_are_all_shown() -> None:
    kinds = [set(spec.prompts.model_dump(exclude_none=True)) for spec in SPECS.values()]
    for kind in ("file", "template", "table"):
        assert any(kind in fields for fields in kinds)


def test_markets_of_the_ad_matrix_that_ask_for_one_picture_get_it_once() -> None:
    prompts = prompts_of(FOLDER / "ad_matrix.yaml")
    assert {"campaign", "sku", "market"} <= set(prompts.columns)
    assert len(prompts.distinct) < len(prompts)
    for text in prompts.hashes:
        rows = prompts.rows_of(text)
        assert len({(prompts.columns["campaign"][row], prompts.columns["sku"][row]) for row in rows}) == 1


def test_all_documents_are_served_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER.parent)  # whose `prompts` the module serves as it is imported
    from hierflow.definitions import load_definitions

    definitions = load_definitions(FOLDER)
    dg.Definitions.validate_loadable(definitions)
    jobs = {job.name for job in definitions.resolve_all_job_defs()}
    assert {spec.name for spec in SPECS.values()} <= jobs
