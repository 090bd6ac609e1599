"""A prompt that cannot be encoded fails alone: it is left out of tree and plan, told of, and tried again."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hierflow.errors import RunError
from hierflow.generate import generate
from hierflow.hashing import text_hash
from hierflow.images import ImageRow, read_manifest
from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow.spec import EmbeddingSpec, SharingSpec
from hierflow.stages.context import Stage
from hierflow.stages.embedding import encoding
from hierflow.stages.embedding.encoding import ensure_stored, refusal
from hierflow.stages.keeping.pruning import find_waste
from hierflow.stages.keeping.retention import retain
from hierflow.stages.overview.outlook import look_ahead
from hierflow.stages.overview.partition_states import partition_states
from hierflow.stages.overview.summary import audit_of, status_of
from hierflow.stages.quality.arms import sample
from hierflow.stages.quality.assessment import assess
from hierflow.stages.quality.baselines import measure, outstanding
from hierflow.stages.reports.auditing import audit
from hierflow.stages.reports.image_set import assembled
from hierflow_tests.stages.runs import PROMPTS, STEPS, Run, assert_equal, carry_out, planned, spec_of, stage_of
from hierflow_tests.tiny_models.nan import save_without_letter
from hierflow_tests.tiny_models.sentence import save_tiny_sentence

BAD = "xyz 99"
GOOD = [text for text in PROMPTS if text != BAD]


@pytest.fixture
def doomed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The texts, negative prompts among them, for which the prior gives NaN; none at first."""
    texts, real = set[str](), Kandinsky22.encoded

    def encoded(self: Kandinsky22, shown: list[str], hashes: Sequence[str]) -> dict[str, torch.Tensor]:
        made = real(self, shown, hashes)
        rows = [row for row, text in enumerate(shown) if text in texts or self.spec.negative_prompt in texts]
        made["image_embeds"][rows, 0] = torch.nan
        return made

    monkeypatch.setattr(Kandinsky22, "encoded", encoded)
    return texts


@pytest.fixture
def storage() -> str:
    return f"memory://{uuid.uuid4().hex}"


def failed(run: Run) -> list[ImageRow]:
    return [row for row in run.assembled.rows if row.status != "current"]


def pixels(run: Run) -> dict[tuple[str, int], np.ndarray]:
    """Of the images that are there."""
    rows = tuple(row for row in run.assembled.rows if row.image_path)
    return replace(run, assembled=replace(run.assembled, rows=rows)).pixels()


def assert_finite(stage: Stage) -> None:
    """Of all that is stored of prompts."""
    encoder = stage.adapter.encoder_fingerprint
    for cache in (stage.store.conditioning(encoder), stage.store.embeddings(encoder)):
        for _, row in cache.rows(cache.held()):
            assert all(np.isfinite(kept.wide()).all() for kept in row.values())


@pytest.mark.parametrize(("shard", "place"), [(1, 0), (2, 3), (8, 5)])
def test_the_others_are_made_as_if_it_was_not_there(
    tiny_learned: Path, doomed: set[str], monkeypatch: pytest.MonkeyPatch, shard: int, place: int
) -> None:
    without = carry_out(spec_of(tiny_learned, prompts=GOOD))
    doomed.add(BAD)
    for size in ("FIXED_BATCH", "SHARD"):
        monkeypatch.setattr(encoding, size, shard)
    run = carry_out(spec_of(tiny_learned, prompts=[*GOOD[:place], BAD, *GOOD[place:]]))
    (row,) = failed(run)
    assert (row.prompt, row.status, row.partition, row.node_path, row.evaluations) == (BAD, "failed", "", "", 0.0)
    assert row.error == "the prior gave NaN for the prompt 'xyz 99'; reword it, or check the model's files"
    assert not run.assembled.complete
    assert_equal(pixels(run), without.pixels())
    assert run.compiled.document.tree == without.compiled.document.tree
    assert run.account.books.executed == without.account.books.executed == run.compiled.document.planned
    assert run.compiled.document.standard == without.compiled.document.standard == len(GOOD) * STEPS
    assert run.account.books.problems == ()
    assert sum(row.evaluations for row in run.assembled.rows) == pytest.approx(run.compiled.document.planned)
    assert_finite(run.stage)


def test_weights_that_hold_nan_fail_the_prompts_that_use_them(tiny_learned: Path, tmp_path: Path) -> None:
    run = carry_out(spec_of(save_without_letter(tiny_learned, tmp_path / "model")))
    assert [row.prompt for row in failed(run)] == [BAD]
    assert_equal(pixels(run), carry_out(spec_of(tiny_learned, prompts=GOOD)).pixels())


def test_the_next_run_tries_it_again_and_redoes_nothing_else(
    tiny_learned: Path, doomed: set[str], storage: str
) -> None:
    doomed.add(BAD)
    first = carry_out(spec_of(tiny_learned, storage=storage))
    (entry,) = [entry for entry in first.entries if entry.stage == "embeddings"]
    assert (entry.status, entry.error) == ("failed", failed(first)[0].error)
    assert entry.prior_evaluations == len(PROMPTS) * 2
    second = carry_out(spec_of(tiny_learned, storage=storage))
    assert second.compiled.document.id == first.compiled.document.id
    assert (second.ran, second.account.books.executed) == ([], 0)
    assert [(entry.stage, entry.prior_evaluations) for entry in second.entries] == [("embeddings", 2)]
    doomed.clear()
    outlook = look_ahead(stage_of(spec_of(tiny_learned, storage=storage)))
    third = carry_out(spec_of(tiny_learned, storage=storage))
    assert third.assembled.complete
    assert third.compiled.planted.generations.any()  # grafted
    assert third.account.books.executed == outlook.evaluations > 0
    assert third.account.books.problems == ()
    after = third.pixels()
    assert_equal({key: after[key] for key in pixels(first)}, pixels(first))


def test_a_plan_prices_what_the_run_makes_and_says_what_it_leaves_out(tiny_learned: Path, doomed: set[str]) -> None:
    doomed.add(BAD)
    spec = spec_of(tiny_learned, images_per_prompt=2)
    outlook, run = look_ahead(stage_of(spec)), carry_out(spec)
    assert outlook.plan == run.compiled.document
    assert outlook.evaluations == run.account.books.executed
    (row, twin) = failed(run)
    told = outlook.as_json()
    assert told["left_out"] == {row.prompt_id: row.error} == {twin.prompt_id: twin.error}
    assert (told["prompts"], told["images"]) == (len(PROMPTS), 2 * len(GOOD))
    assert told["warnings"][0] == f"a prompt cannot be encoded and is left out: {row.prompt_id!r}: {row.error}"
    doomed.add(GOOD[0])
    both = look_ahead(stage_of(spec_of(tiny_learned))).warnings[0]
    assert both.startswith("2 prompts cannot be encoded and are left out, such as ")


def test_a_prompt_that_is_new_and_fails_leaves_the_pinned_tree_as_it_is(
    tiny_learned: Path, doomed: set[str], storage: str
) -> None:
    first = carry_out(spec_of(tiny_learned, prompts=GOOD, storage=storage))
    doomed.add(BAD)
    second = carry_out(spec_of(tiny_learned, storage=storage))
    assert second.compiled.document.tree == first.compiled.document.tree
    assert (second.ran, second.account.books.executed) == ([], 0)
    assert [row.prompt for row in failed(second)] == [BAD]
    (key, *_) = second.compiled.document.keys
    rebuilt = carry_out(spec_of(tiny_learned, storage=storage), rebuild=key)
    assert [row.prompt for row in failed(rebuilt)] == [BAD]


def test_too_many_are_the_models_fault_and_half_of_the_set_are_not(tiny_learned: Path, doomed: set[str]) -> None:
    doomed.update(PROMPTS[:3])
    assert len(failed(carry_out(spec_of(tiny_learned)))) == 3
    doomed.add(PROMPTS[3])
    stage = stage_of(spec_of(tiny_learned))
    with pytest.raises(RunError, match=r"^4 of 6 prompts cannot be encoded, too many .*: the prior gave NaN for .*;"):
        planned(stage)
    assert stage.store.plans.current() is None
    assert [entry.status for entry in stage.store.ledger.entries()] == ["failed"]
    assert_finite(stage)
    doomed.update(PROMPTS)
    with pytest.raises(RunError, match=r"^6 of 6 prompts"):
        planned(stage_of(spec_of(tiny_learned)))


def test_the_remedy_is_the_makers(tiny_learned: Path, tmp_path: Path, doomed: set[str]) -> None:
    for dtype, remedy in (("bfloat16", "try diffusion.dtype: float32, or reword it"), ("float32", "reword it, or ")):
        doomed.add(BAD)
        (why,) = look_ahead(stage_of(spec_of(tiny_learned, dtype=dtype))).plan.left_out.values()
        assert why.startswith(f"the prior gave NaN for the prompt 'xyz 99'; {remedy}")
    doomed.clear()
    model = save_tiny_sentence(tmp_path / "whole")
    broken = save_without_letter(model, tmp_path / "sentence", tokenizer="", encoder="")
    spec = spec_of(tiny_learned, dtype="bfloat16")
    clustered = spec.model_copy(update={"embedding": EmbeddingSpec.model_validate({"from": str(broken)})})
    stage = stage_of(clustered)
    (why,) = look_ahead(stage).plan.left_out.values()
    assert why == (
        f"{broken}, which the tree clusters by, gave NaN for the prompt 'xyz 99'; "
        "reword it, or name another model: embedding.from"
    )
    assert [entry.status for entry in stage.store.ledger.entries()] == ["done", "failed"]
    assert refusal("text_encoder", "it", "float16", "").endswith("it; try diffusion.dtype: float32, or reword it")


def table(folder: Path, *rows: str) -> dict[str, Any]:
    (folder / "prompts.csv").write_text("\n".join(["id,prompt,campaign,negative_prompt", *rows]) + "\n", "utf-8")
    return {"table": str(folder / "prompts.csv"), "id_column": "id"}


def test_a_negative_prompt_of_rows_fails_these_rows(tiny_learned: Path, tmp_path: Path, doomed: set[str]) -> None:
    rows = table(
        tmp_path, "a,a red mug,x,", "b,a red mug,x,ugly", "c,a blue mug,x,", "d,a blue mug,y,blurry", "e,a cat,y,ugly"
    )
    doomed.add("ugly")
    run = carry_out(spec_of(tiny_learned, prompts=rows))
    assert [row.prompt_id for row in failed(run)] == ["b", "e"]
    assert "the prior gave NaN for the negative prompt 'ugly'" in failed(run)[0].error
    assert "a cat" not in [run.prompts.texts[row] for row in sample(run.compiled, run.prompts, 9)]
    assert text_hash("a cat") not in run.compiled.planted.texts
    assert run.account.books.problems == ()
    assert sum(row.evaluations for row in run.assembled.rows) == pytest.approx(run.compiled.document.planned)
    assert sum(row.evaluations_paid for row in run.assembled.rows) == pytest.approx(run.account.books.executed)


def test_the_last_good_image_of_its_id_stays_flagged_outdated(
    tiny_learned: Path, tmp_path: Path, doomed: set[str], storage: str
) -> None:
    rows = ["a,a red mug,x,", "b,a blue mug,y,", "c,a red chair,y,"]
    before = carry_out(spec_of(tiny_learned, prompts=table(tmp_path, *rows), storage=storage)).assembled.rows
    doomed.add(BAD)
    edited = spec_of(tiny_learned, prompts=table(tmp_path, "a,xyz 99,x,", *rows[1:]), storage=storage)
    run = carry_out(edited)
    (row,) = failed(run)
    assert (row.prompt_id, row.prompt, row.status) == ("a", BAD, "outdated")
    assert (row.image_path, row.image_sha256) == (before[0].image_path, before[0].image_sha256)
    assert run.account.books.problems == ()
    waste = find_waste(run.stage).files
    assert row.image_path not in waste["images"]
    for path in waste["records"]:
        run.stage.store.files.delete(path)
    assert carry_out(edited).assembled.rows[0].status == "outdated"


def test_status_audit_and_gallery_tell_of_it(tiny_learned: Path, tmp_path: Path, doomed: set[str]) -> None:
    rows = ["a,a red mug,x,", "b,a blue mug,y,", "c,a red chair,y,", "d,xyz 99,z,"]
    doomed.add(BAD)
    run = carry_out(spec_of(tiny_learned, prompts=table(tmp_path, *rows), storage=tmp_path / "out"))
    found = status_of(run.stage)
    assert found["failed"] == [
        {
            **{"prompt_id": "d", "prompt": failed(run)[0].prompt, "image_index": 0, "status": "failed"},
            "error": failed(run)[0].error,
        }
    ]
    assert found["pending"] == 0
    assert (found["complete"], found["images"], found["prompts"]) == (False, 3, 4)
    assert found["partitions"]["to_run"] == []
    assert found["edited"] == []
    states = partition_states(run.stage, run.compiled, run.assembled.rows, run.stage.store.ledger.entries())
    assert {state.condition for state in states} == {"fresh"}
    shares = audit_of(run.stage, ["campaign"]).by["campaign"]
    assert [(share.value, share.images, share.made) for share in shares] == [("y", 2, 2), ("x", 1, 1)]
    assert sum(share.standard for share in shares) == run.compiled.document.standard
    page = Path(run.assembled.gallery).read_text("utf-8")
    assert "a prompt cannot be encoded and is left out: " in page
    listed = read_manifest(Path(run.assembled.manifest).read_bytes()).to_pylist()
    assert [row["status"] for row in listed] == ["current"] * 3 + ["failed"]


def test_what_only_a_resumed_run_needs_is_dropped_all_the_same(tiny_learned: Path, doomed: set[str]) -> None:
    doomed.add(BAD)
    run = carry_out(spec_of(tiny_learned, sharing={"tau": 0.5, "checkpoint_every": 1}))
    assert run.assembled.is_executed
    assert retain(run.stage, run.compiled).states > 0
    broken = carry_out(spec_of(tiny_learned))
    broken.stage.store.files.delete(broken.assembled.rows[0].image_path)
    assert not assembled(broken.stage, broken.compiled, broken.prompts).is_executed


def test_baselines_are_drawn_from_the_others(tiny_learned: Path, doomed: set[str], storage: str) -> None:
    doomed.add(BAD)
    spec = spec_of(tiny_learned, storage=storage)
    run = carry_out(spec.model_copy(update={"scoring": spec.scoring.model_copy(update={"baseline_sample": 6})}))
    asked = outstanding(run.stage, run.compiled, run.prompts)
    pairs = measure(run.stage, run.compiled, run.prompts, run.assembled.rows)
    assert sorted(pair.prompt for pair in pairs) == sorted(GOOD)
    assert 0 < audit(run.stage, run.compiled, run.assembled.rows).books.measured <= asked
    assert outstanding(run.stage, run.compiled, run.prompts) == 0
    assert assess(run.stage, run.compiled, run.prompts, run.assembled.rows).pairs == tuple(pairs)


def test_a_pilot_is_made_with_the_others(tiny_learned: Path, doomed: set[str], storage: str) -> None:
    doomed.add(BAD)
    spec = spec_of(tiny_learned, storage=storage)
    quality = SharingSpec.model_validate({"quality": {"metric": "clip", "max_loss": 1.0, "sample": 16}})
    run = carry_out(spec.model_copy(update={"sharing": quality}))
    assert run.compiled.document.pilot
    assert [row.prompt for row in failed(run)] == [BAD]
    assert run.account.books.problems == ()


def test_conditioning_that_is_lost_and_cannot_be_made_again_is_said(tiny_learned: Path, doomed: set[str]) -> None:
    run = carry_out(spec_of(tiny_learned))
    for path in run.stage.store.files.list("conditioning"):
        run.stage.store.files.delete(path)
    doomed.add(BAD)
    with pytest.raises(RunError, match="gave NaN for the prompt 'xyz 99'"):
        ensure_stored(run.stage, run.compiled.planted.encoder, [text_hash(BAD)], {text_hash(BAD): BAD})


def test_from_python_it_is_an_error_that_names_the_prompt(tiny_learned: Path, doomed: set[str]) -> None:
    doomed.add(BAD)
    with pytest.raises(RunError, match="1 images could not be made; the prompt 'xyz 99': the prior gave NaN"):
        generate(PROMPTS, model=str(tiny_learned), steps=2, prior_steps=2, progress=False)
