"""A set whose pointer, plan or tree is lost goes on from what is left, says so, and never founds a tree unasked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hierflow.errors import RunError
from hierflow.spec import ImageSetSpec
from hierflow.stages.overview.outlook import look_ahead
from hierflow.stages.overview.summary import audit_of, status_of
from hierflow.stages.planning.last_plan import last_plan
from hierflow.stages.planning.make_plan import WHOLE
from hierflow_tests.stages.runs import Run, assert_equal, carried_out, carry_out, spec_of, stage_of
from hierflow_tests.store.damage import flip

FIRST = [f"a {color} {product}" for color in ("red", "blue", "green") for product in ("mug", "chair", "car")]
EDITED = [*FIRST[:-3], "a pink hat", "a pink house", "a pink tree"]
"""Grafted on a tree of the first: founded anew, the tree is another one, and so are images."""

Harm = Callable[[Run], None]


def tear_the_pointer(run: Run) -> None:
    files = run.stage.store.files
    files.write("current.json", files.read("current.json")[:-7])


def lose_the_pointer(run: Run) -> None:
    run.stage.store.files.delete("current.json")


def alter_the_plan(run: Run) -> None:
    flip(run.stage.store.files, f"plans/{run.compiled.document.id}.json", at=-40)


def lose_the_plan(run: Run) -> None:
    run.stage.store.files.delete(f"plans/{run.compiled.document.id}.json")


def alter_the_tree(run: Run) -> None:
    flip(run.stage.store.files, f"trees/{run.compiled.document.tree}.safetensors")


def document(model: Path, storage: Path, prompts: list[str] = EDITED, tree: str = "pinned") -> ImageSetSpec:
    return spec_of(model, storage=storage, prompts=prompts, sharing={"tau": 1.0, "tree": tree})


@pytest.fixture
def edited(tiny_learned: Path, tmp_path: Path) -> Run:
    """A set that has run, and has run again with three of its prompts edited."""
    carry_out(document(tiny_learned, tmp_path, FIRST))
    return carry_out(document(tiny_learned, tmp_path))


def again(run: Run, rebuild: str = "") -> tuple[Run, list[str]]:
    """Another run of the same document, and what it said."""
    said: list[str] = []
    return carried_out(replace(stage_of(run.stage.spec), say=said.append), rebuild), said


@pytest.mark.parametrize("harm", [tear_the_pointer, lose_the_pointer])
def test_a_lost_pointer_changes_no_image_and_is_told(edited: Run, harm: Harm) -> None:
    pixels = edited.pixels()
    harm(edited)
    after, said = again(edited)
    assert_equal(after.pixels(), pixels)
    assert after.account.books.executed == 0
    assert after.compiled.document.id == edited.compiled.document.id
    (sentence,) = said
    assert "current.json" in sentence or "says which it is" in sentence
    assert f"goes on from plan {edited.compiled.document.id[:12]}" in sentence
    assert again(edited)[1] == []


@pytest.mark.parametrize("harm", [alter_the_plan, lose_the_plan, alter_the_tree])
def test_a_lost_plan_or_tree_changes_no_image_of_the_plan_before_it(edited: Run, harm: Harm) -> None:
    pixels = edited.pixels()
    harm(edited)
    after, said = again(edited)
    kept = {(prompt, 0) for prompt in FIRST} & pixels.keys()
    assert_equal({key: after.pixels()[key] for key in kept}, {key: pixels[key] for key in kept})
    assert len(said) == 1
    assert f"{edited.compiled.document.id}.json" in said[0] or f"{edited.compiled.document.tree}.safe" in said[0]


def test_a_torn_pointer_is_put_aside_and_is_no_damaged_history(edited: Run) -> None:
    tear_the_pointer(edited)
    torn = edited.stage.store.files.read("current.json")
    after, _ = again(edited)
    files = after.stage.store.files
    (aside,) = files.list("damaged")
    assert files.read(aside) == torn
    assert "damaged/current" not in files.read("history.html").decode()


def test_plan_status_and_audit_tell_of_what_is_left_and_write_nothing(edited: Run) -> None:
    status, audit = status_of(edited.stage), audit_of(edited.stage)
    tear_the_pointer(edited)
    files = edited.stage.store.files
    before = files.sizes()
    said: list[str] = []
    stage = replace(edited.stage, say=said.append)
    assert look_ahead(stage).evaluations == 0
    assert len(said) == 1
    weighed = {"bytes": None, "bytes_a_prompt": None}
    assert {**status_of(stage), **weighed} == {**status, **weighed}
    assert audit_of(stage).account.books == audit.account.books
    assert len(said) == 3
    assert all("the current plan is lost" in sentence for sentence in said)
    assert files.sizes() == before


@pytest.fixture
def ruined(tiny_learned: Path, tmp_path: Path) -> Run:
    """A set of which no plan is intact."""
    run = carry_out(document(tiny_learned, tmp_path))
    alter_the_tree(run)
    return run


def test_where_no_plan_is_intact_everything_refuses_in_one_sentence(ruined: Run) -> None:
    before = ruined.stage.store.files.sizes()
    for act in (again, lambda run: look_ahead(run.stage), lambda run: status_of(run.stage)):
        with pytest.raises(RunError, match=r"trees/.* does not match.*no earlier one is intact; .*SPEC --rebuild$"):
            act(ruined)
    now = ruined.stage.store.files.sizes()
    assert {path: now[path] for path in before} == before


def test_where_no_plan_is_intact_a_rebuild_goes_on_without_one(ruined: Run) -> None:
    after, said = again(ruined, rebuild=WHOLE)
    assert after.assembled.complete
    assert "the tree is founded anew" in said[0]
    assert again(ruined)[0].account.books.executed == 0


def test_a_tree_that_is_founded_anew_every_time_needs_no_plan(tiny_learned: Path, tmp_path: Path) -> None:
    run = carry_out(document(tiny_learned, tmp_path, tree="fresh"))
    pixels = run.pixels()
    alter_the_tree(run)
    after, said = again(run)
    assert_equal(after.pixels(), pixels)
    assert after.account.books.executed == 0
    assert len(said) == 1


def test_before_the_first_run_no_plan_is_lost(tiny_learned: Path, tmp_path: Path) -> None:
    said: list[str] = []
    assert last_plan(replace(stage_of(document(tiny_learned, tmp_path)), say=said.append)) is None
    assert said == []
