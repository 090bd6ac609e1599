"""Night after night the history tells what runs made, kept, replaced and retired; nothing that was told is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hierflow.hashing import bytes_digest
from hierflow.images import Version, read_history, read_manifest
from hierflow.prompts import load_prompts
from hierflow.spec import ImageSetSpec
from hierflow.stages.keeping.pruning import Waste, find_waste, remove
from hierflow.stages.reports import image_set
from hierflow.stages.reports.history import HISTORY, HISTORY_PAGE
from hierflow.stages.reports.image_set import GALLERY, MANIFEST, assemble
from hierflow_tests.stages.runs import PROMPTS, Run, carried_out, carry_out, planned, spec_of, stage_of

Night = Callable[..., Run]

GONE = '<p class="error">Its file is gone.</p>'


@pytest.fixture
def night(tiny_learned: Path, tmp_path: Path) -> Night:
    """Runs a set of three prompts, with those texts; empty ones are left out."""

    def run(cup: str = "a red mug", lamp: str = "a blue lamp", cat: str = "two green cats", **diffusion: int) -> Run:
        return carry_out(document(tiny_learned, tmp_path, {"CUP": cup, "LAMP": lamp, "CAT": cat}, **diffusion))

    return run


def document(model: Path, folder: Path, texts: dict[str, str], **diffusion: int) -> ImageSetSpec:
    """A set of a table with ids that survive edits, stored beside it."""
    lines = "".join(f"{sku},{text}\n" for sku, text in texts.items() if text)
    (folder / "prompts.csv").write_text(f"sku,prompt\n{lines}", "utf-8")
    source = {"table": str(folder / "prompts.csv"), "id_column": "sku"}
    return spec_of(model, prompts=source, storage=folder, sharing={"tau": 0.3}, scheduler="ddim", **diffusion)


def history_of(run: Run) -> list[Version]:
    return read_history(run.stage.store.files.read(HISTORY))


def page_of(run: Run) -> str:
    return run.stage.store.files.read(HISTORY_PAGE).decode()


def of(run: Run, prompt_id: str) -> list[Version]:
    """The versions of a prompt's image."""
    return [version for version in history_of(run) if version.prompt_id == prompt_id]


def test_a_night_makes_keeps_replaces_and_retires(night: Night) -> None:
    first = night()
    second = night()
    third = night(lamp="a green lamp", cat="")
    cup, *lamps, cat = (*of(third, "CUP"), *of(third, "LAMP"), *of(third, "CAT"))

    assert (cup.began, cup.made_run, cup.began_run) == ("made", first.stage.run, first.stage.invocation)
    assert (cup.kept, cup.last_kept_run, cup.ended) == (2, third.stage.invocation, "")

    old, new = lamps
    assert (old.prompt, new.prompt) == ("a blue lamp", "a green lamp")
    assert (old.kept, old.last_kept_run) == (1, second.stage.invocation)
    assert (old.ended, old.ended_run) == ("replaced", third.stage.invocation)
    assert (new.began, new.made_run, new.began_run) == ("made", third.stage.run, third.stage.invocation)
    assert (old.plan, new.plan) == (first.compiled.document.id, third.compiled.document.id)

    assert (cat.kept, cat.ended, cat.ended_run) == (1, "retired", third.stage.invocation)
    row = first.assembled.rows[2]
    assert (cat.image_path, cat.image_sha256) == (row.image_path, row.image_sha256)
    files = third.stage.store.files
    assert all(bytes_digest(files.read(v.image_path)) == v.image_sha256 for v in history_of(third))


def test_times_follow_each_other_and_those_of_the_ledger(night: Night) -> None:
    first = night()
    cup = of(night(cup="a blue mug"), "CUP")[0]
    assert cup.made_at == datetime.fromtimestamp(first.entries[0].started, UTC)
    assert cup.ended_at is not None
    assert cup.made_at < cup.began_at < cup.ended_at <= datetime.now(UTC)


def test_what_images_were_paid_sums_to_what_was_executed_whatever_came_back(night: Night) -> None:
    runs = [night(), night(cup="a blue mug", cat=""), night(), night(lamp="a red lamp"), night(cup="a blue mug")]
    executed = sum(run.account.books.executed for run in runs)
    assert executed > runs[0].account.books.executed
    assert sum(version.evaluations_paid for version in history_of(runs[-1])) == pytest.approx(executed)


def test_a_prompt_that_comes_back_is_a_row_of_its_own_by_the_run_that_made_it(night: Night) -> None:
    first = night()
    night(cat="")
    back = night()
    old, new = of(back, "CAT")
    assert (old.ended, new.began, new.ended) == ("retired", "returned", "")
    assert (new.image_sha256, new.made_run, new.began_run) == (
        old.image_sha256,
        first.stage.run,
        back.stage.invocation,
    )
    assert new.evaluations_paid == 0
    assert "1 returned" in page_of(back)


def test_a_lost_file_that_is_made_again_before_the_manifest_is_kept(night: Night) -> None:
    shutil.rmtree(night().stage.store.files.url("images"))
    assert [(v.kept, v.ended) for v in history_of(night())] == [(1, "")] * 3


def test_a_file_that_a_manifest_finds_gone_is_lost_and_returns(night: Night) -> None:
    first = night()
    first.stage.store.files.delete(first.assembled.rows[0].image_path)
    later = stage_of(first.stage.spec)
    assemble(later, first.compiled, first.prompts)
    (lost,) = of(first, "CUP")
    assert (lost.ended, lost.ended_run, lost.kept) == ("lost", later.invocation, 0)
    assert page_of(first).count(GONE) == 2  # where it was made, and where it was lost
    old, new = of(night(), "CUP")
    assert (old, new.began, new.made_run) == (lost, "returned", first.stage.run)


def test_what_runs_under_another_seed_replaces_all(night: Night) -> None:
    night()
    run = night(seed=7)
    assert [v.ended for v in history_of(run)] == ["replaced"] * 3 + [""] * 3
    assert "3 replaced" in page_of(run)


def test_fewer_images_a_prompt_retire_those_that_are_left_over(night: Night) -> None:
    night(images_per_prompt=2)
    run = night(images_per_prompt=1)
    assert [(v.image_index, v.ended) for v in history_of(run)] == [(0, ""), (1, "retired")] * 3


def test_one_state_told_twice_for_one_request_changes_no_byte(night: Night) -> None:
    night()
    run = night(lamp="a green lamp", cat="")
    files = run.stage.store.files
    before = {path: files.read(path) for path in (HISTORY, HISTORY_PAGE)}
    assemble(run.stage, run.compiled, run.prompts)
    assert {path: files.read(path) for path in before} == before
    assemble(replace(run.stage, invocation="another"), run.compiled, run.prompts)
    assert [v.kept for v in history_of(run)] == [2, 0, 0, 1]


def test_a_run_that_dies_while_it_writes_the_page_is_told_by_the_next(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = history_of(night())

    def fail(*arguments: object, **named: object) -> str:
        raise OSError("no space left on device")

    for page in ("render_gallery", "history_page"):
        with monkeypatch.context() as patch:
            patch.setattr(image_set, page, fail)
            with pytest.raises(OSError, match="no space"):
                night(lamp="a green lamp")
    run = night(lamp="a green lamp")
    old, new = of(run, "LAMP")
    assert (old.ended, old.kept, new.began) == ("replaced", 0, "made")
    assert {old.ended_run, new.began_run} == {run.stage.invocation}
    assert new.made_run != run.stage.run  # the first of those that died had made it
    assert history_of(run)[0] == replace(
        before[0], kept=1, last_kept_run=run.stage.invocation, last_kept_at=history_of(run)[0].last_kept_at
    )


@pytest.mark.parametrize("keep", [0, 100, -9])
def test_a_damaged_history_is_put_aside_and_said_to_be_for_as_long_as_it_lies_there(
    tiny_learned: Path, tmp_path: Path, keep: int
) -> None:
    spec = spec_of(tiny_learned, storage=tmp_path, scheduler="ddim")
    files = carry_out(spec).stage.store.files
    damaged = files.read(HISTORY)[:keep]
    files.write(HISTORY, damaged)
    said: list[str] = []
    run = carried_out(replace(stage_of(spec), say=said.append))
    (aside,) = files.list("damaged")
    assert files.read(aside) == damaged
    assert any("the history" in sentence and files.url(aside) in sentence for sentence in said)
    assert [(v.began, v.kept) for v in history_of(run)] == [("found", 0)] * len(PROMPTS)
    for told in (run, carry_out(spec)):
        assert f"An earlier history was damaged: it lies in {aside}" in page_of(told)
    remove(run.stage, _waste(run))
    assert files.list("damaged") == [aside]
    files.delete(aside)
    assert "An earlier history" not in page_of(carry_out(spec))


def _waste(run: Run) -> Waste:
    run.stage.store.prompts.save(run.prompts)
    return find_waste(run.stage)


def test_a_set_that_is_older_than_its_history_finds_its_images(night: Night) -> None:
    first = night()
    first.stage.store.files.delete(HISTORY)
    run = night(lamp="a green lamp")
    assert [(v.prompt_id, v.began, v.made_run) for v in history_of(run)] == [
        ("CUP", "found", first.stage.run),
        ("LAMP", "made", run.stage.run),
        ("CAT", "found", first.stage.run),
    ]


def test_pruning_keeps_the_history_and_the_page_says_what_is_gone(night: Night) -> None:
    first = night()
    run = night(lamp="a green lamp")
    before = history_of(run)
    remove(run.stage, _waste(run))
    assert history_of(run) == before
    assert not run.stage.store.files.exists(first.assembled.rows[1].image_path)
    assert GONE not in page_of(run)  # it was written before; its script looks
    again = night(lamp="a green lamp")
    assert len(history_of(again)) == len(before)
    assert page_of(again).count(GONE) == 2  # where it was made, and where it was replaced
    back = night()
    assert [v.began for v in of(back, "LAMP")] == ["made"] * 3  # its image had to be made anew


def test_gallery_and_history_lead_to_each_other(night: Night) -> None:
    run = night()
    assert run.assembled.history == run.stage.store.files.url(HISTORY_PAGE)
    assert f'href="{HISTORY_PAGE}"' in run.stage.store.files.read(GALLERY).decode()
    assert f'href="{GALLERY}"' in page_of(run)


def test_the_history_now_is_the_manifest(night: Night) -> None:
    night()
    run = night(cup="a blue mug", cat="")
    shown = ("prompt_id", "image_index", "image_path", "image_sha256")
    manifest = read_manifest(run.stage.store.files.read(MANIFEST)).select(shown).to_pylist()
    now = [{name: getattr(version, name) for name in shown} for version in history_of(run) if not version.ended]
    assert sorted(now, key=str) == sorted(manifest, key=str)


def test_a_prompt_that_is_not_made_yet_keeps_its_last_good_image(tiny_learned: Path, tmp_path: Path) -> None:
    texts = {"CUP": "a red mug", "LAMP": "a blue lamp"}
    carry_out(document(tiny_learned, tmp_path, texts))
    spec = document(tiny_learned, tmp_path, {**texts, "LAMP": "a green lamp"})
    stage = stage_of(spec)
    stage.store.prompts.save(load_prompts(spec.prompts, stage.base))
    compiled, prompts = planned(stage)
    assert [row.status for row in assemble(stage, compiled, prompts).rows] == ["current", "outdated"]
    versions = read_history(stage.store.files.read(HISTORY))
    assert [(v.prompt, v.kept, v.ended) for v in versions] == [("a red mug", 1, ""), ("a blue lamp", 1, "")]
