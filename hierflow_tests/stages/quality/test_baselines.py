"""Baselines: the same prompts made the standard way, with another seed, and on a shuffled tree."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hierflow.hashing import text_hash
from hierflow.images import decode_png
from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow.scoring.pair import AGAIN, SHARED, SHUFFLED, STANDARD, Pair
from hierflow.spec import EmbeddingSpec, ImageSetSpec
from hierflow.stages.quality import baselines
from hierflow.stages.quality.arms import arm_of, sample
from hierflow.stages.quality.baselines import measure, outstanding
from hierflow.stages.reports.auditing import audit
from hierflow.store.ledger import MEASURED
from hierflow.tree.planted import Clustering
from hierflow_tests.stages.runs import PROMPTS, Run, carry_out, planned, spec_of, spoil_first_image, stage_of

ALL = list(range(len(PROMPTS)))


def spec_with(
    model: Path, storage: str, *, size: int = 6, prompts: list[str] | None = None, tau: float = 1.0
) -> ImageSetSpec:
    spec = spec_of(model, storage=storage, prompts=prompts, sharing={"tau": tau})
    return spec.model_copy(update={"scoring": spec.scoring.model_copy(update={"baseline_sample": size})})


def measured(run: Run) -> list[Pair]:
    return measure(run.stage, run.compiled, run.prompts, run.assembled.rows)


def pixels(run: Run, pair: Pair, arm: str) -> np.ndarray:
    return decode_png(run.stage.store.files.read(pair.images[arm].path))


@pytest.fixture
def storage() -> str:
    return f"memory://{uuid.uuid4().hex}"


def test_the_standard_arm_is_what_a_set_without_sharing_makes(tiny_learned: Path, storage: str) -> None:
    run = carry_out(spec_with(tiny_learned, storage))
    alone = carry_out(spec_of(tiny_learned, sharing={"tau": 0.0})).pixels()
    other = carry_out(spec_of(tiny_learned, sharing={"tau": 0.0}, seed=1)).pixels()
    shared = run.pixels()
    pairs = measured(run)
    assert sorted(pair.prompt for pair in pairs) == sorted(PROMPTS)
    for pair in pairs:
        np.testing.assert_array_equal(pixels(run, pair, STANDARD), alone[pair.prompt, 0])
        np.testing.assert_array_equal(pixels(run, pair, AGAIN), other[pair.prompt, 0])
        np.testing.assert_array_equal(pixels(run, pair, SHARED), shared[pair.prompt, 0])
        assert not np.array_equal(pixels(run, pair, SHARED), pixels(run, pair, STANDARD))


def test_the_shuffled_arm_shares_as_much_with_the_wrong_prompts(tiny_learned: Path, storage: str) -> None:
    run = carry_out(spec_with(tiny_learned, storage))
    arm = arm_of(SHUFFLED, run.compiled, run.prompts, ALL)
    assert sum(lane.evaluations for lane in arm.compiled.lanes) == run.compiled.plan.evaluations
    own, dealt = run.compiled.planted, arm.compiled.planted
    assert sorted(dealt.texts) == sorted(own.texts)
    assert dealt.texts != own.texts
    for row in ALL:
        assert dealt.texts[arm.leaf_of[row]] == text_hash(PROMPTS[row])
    for pair in measured(run):
        assert not np.array_equal(pixels(run, pair, SHARED), pixels(run, pair, SHUFFLED))
    by_a_model = replace(own, clustering=Clustering("a model", "its fingerprint"))
    arm = arm_of(SHUFFLED, replace(run.compiled, planted=by_a_model), run.prompts, ALL)
    assert arm.compiled.planted.clustering == by_a_model.clustering


def test_what_is_measured_is_booked_so_and_made_once(tiny_learned: Path, storage: str) -> None:
    run = carry_out(spec_with(tiny_learned, storage, size=4))
    states = set(run.stage.store.states.sizes())
    announced = outstanding(run.stage, run.compiled, run.prompts)
    pairs = measured(run)
    books = audit(run.stage, run.compiled, run.assembled.rows).books
    assert books.problems == ()
    assert len(pairs) == 4
    assert 0 < books.measured <= announced
    assert books.executed == run.compiled.plan.evaluations + books.measured
    judging = [
        entry for entry in run.stage.store.ledger.entries() if entry.stage == MEASURED and not entry.evaluations
    ]
    assert [entry.status for entry in judging] == ["done"]
    assert judging[0].seconds["score"] > 0
    assert set(run.stage.store.states.sizes()) == states
    assert outstanding(run.stage, run.compiled, run.prompts) == 0

    again = carry_out(spec_with(tiny_learned, storage, size=4))
    assert measured(again) == pairs
    books = audit(again.stage, again.compiled, again.assembled.rows).books
    assert (books.executed, books.measured, books.problems) == (0, 0, ())


def test_every_image_of_a_pair_has_every_score(tiny_learned: Path, storage: str) -> None:
    run = carry_out(spec_with(tiny_learned, storage))
    scores = {row.prompt: dict(row.scores) for row in run.assembled.rows}
    for pair in measured(run):
        assert pair.scorers == {"clip_similarity": run.stage.scorers.versions["clip_similarity"]}
        assert dict(pair.images[SHARED].scores) == scores[pair.prompt]
        assert all(set(image.scores) == {"clip_similarity"} for image in pair.images.values())


def test_an_edit_asks_for_the_baselines_of_what_is_new_alone(tiny_learned: Path, storage: str) -> None:
    first = measured(carry_out(spec_with(tiny_learned, storage)))
    edited = [*PROMPTS[:-1], "a yellow hat"]
    run = carry_out(spec_with(tiny_learned, storage, prompts=edited))
    pairs = measured(run)
    steps = run.stage.spec.diffusion.steps
    books = audit(run.stage, run.compiled, run.assembled.rows).books
    assert books.problems == ()
    assert books.measured <= 3 * steps
    assert {pair.prompt for pair in pairs} == {*PROMPTS, "a yellow hat"}  # the prompt that went still is a witness
    assert [pair for pair in pairs if pair.prompt != "a yellow hat"] == first


def test_another_tau_is_another_policy(tiny_learned: Path, storage: str) -> None:
    first = measured(carry_out(spec_with(tiny_learned, storage)))
    run = carry_out(spec_with(tiny_learned, storage, tau=0.2))
    second = measured(run)
    assert not {pair.policy for pair in first} & {pair.policy for pair in second}
    assert run.stage.store.pairs.load() == [*first, *second]


def test_a_lost_baseline_is_made_again(tiny_learned: Path, storage: str) -> None:
    run = carry_out(spec_with(tiny_learned, storage))
    pairs = measured(run)
    run.stage.store.files.delete(pairs[0].images[STANDARD].path)
    again = carry_out(spec_with(tiny_learned, storage))
    assert measured(again) == pairs
    books = audit(again.stage, again.compiled, again.assembled.rows).books
    assert (books.measured, books.problems) == (again.stage.spec.diffusion.steps, ())


def test_the_sample_hardly_changes_with_the_prompts(tiny_learned: Path) -> None:
    compiled, prompts = planned(stage_of(spec_of(tiny_learned, prompts=[f"prompt {i}" for i in range(50)])))
    later, more = planned(stage_of(spec_of(tiny_learned, prompts=[f"prompt {i}" for i in range(1, 51)])))
    drawn = [{p.texts[row] for row in sample(c, p, 10)} for c, p in ((compiled, prompts), (later, more))]
    assert [len(texts) for texts in drawn] == [10, 10]
    assert len(drawn[0] & drawn[1]) >= 9
    assert sample(compiled, prompts, 0) == []
    assert sample(compiled, prompts, 99) == list(range(50))


def test_witnesses_whose_images_are_gone_have_no_say_by_a_newer_measure(
    tiny_learned: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = carry_out(spec_with(tiny_learned, storage))
    pairs = measured(run)
    run.stage.store.files.delete(pairs[0].images["shuffled"].path)
    edited = [text for text in PROMPTS if text != pairs[0].prompt]  # so that it is not made again
    again = carry_out(spec_with(tiny_learned, storage, prompts=edited))
    assert len(measured(again)) == len(pairs)  # by the same measure it is as good a witness as ever
    monkeypatch.setattr(Kandinsky22, "clip_fingerprint", "another")
    later = carry_out(spec_with(tiny_learned, storage, prompts=edited))
    assert {pair.prompt for pair in measured(later)} == set(edited)
    assert len(later.stage.store.pairs.load()) == len(pairs)


def test_a_damaged_baseline_is_made_again_and_told_of(tiny_learned: Path, storage: str) -> None:
    run = carry_out(spec_with(tiny_learned, storage))
    pairs = measured(run)
    files, path = run.stage.store.files, pairs[0].images[STANDARD].path
    files.write(path, files.read(path)[:-20])
    files.delete("pairs.json")  # else nobody would look into the file
    said: list[str] = []
    again = replace(stage_of(run.stage.spec), say=said.append)
    found = measure(again, run.compiled, run.prompts, run.assembled.rows)
    assert found == pairs
    assert any(path in sentence and "made again" in sentence for sentence in said)


def test_a_baseline_whose_pixels_are_not_finite_is_left_out_and_said_so(
    tiny_learned: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, said = carry_out(spec_with(tiny_learned, storage)), list[str]()
    spoil_first_image(monkeypatch)
    pairs = measured(replace(run, stage=replace(run.stage, say=said.append)))
    assert len(pairs) == len(PROMPTS) - 1
    (sentence,) = said
    assert sentence.startswith("no standard image of prompt ")
    assert "the pixels are not finite" in sentence


def test_a_damaged_shuffled_image_is_made_again_and_told_of(tiny_learned: Path, storage: str) -> None:
    run = carry_out(spec_with(tiny_learned, storage, size=2))
    pairs = measured(run)
    files, path = run.stage.store.files, pairs[0].images[SHUFFLED].path
    whole = files.read(path)
    files.write(path, whole[:-20])
    said: list[str] = []
    again = replace(stage_of(run.stage.spec), say=said.append)
    assert measure(again, run.compiled, run.prompts, run.assembled.rows) == pairs
    assert files.read(path) == whole
    assert any(path in sentence and "damaged" in sentence for sentence in said)


def test_a_damaged_witness_has_no_say_by_a_newer_measure(
    tiny_learned: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = carry_out(spec_with(tiny_learned, storage))
    pairs = measured(run)
    files, path = run.stage.store.files, pairs[0].images[STANDARD].path
    files.write(path, files.read(path)[:-20])
    monkeypatch.setattr(Kandinsky22, "clip_fingerprint", "another")
    edited = [text for text in PROMPTS if text != pairs[0].prompt]
    for _ in range(2):  # the first finds it damaged, the second gone
        later = carry_out(spec_with(tiny_learned, storage, prompts=edited))
        assert {pair.prompt for pair in measured(later)} == set(edited)
        assert len(later.stage.store.pairs.load()) == len(pairs)


def test_another_clustering_is_another_policy(tiny_learned: Path, storage: str) -> None:
    measured(carry_out(spec_with(tiny_learned, storage)))
    spec = spec_with(tiny_learned, storage)
    by_text = EmbeddingSpec.model_validate({"from": "text_encoder"})
    run = carry_out(spec.model_copy(update={"embedding": by_text}))
    shown = {row.image_path for row in run.assembled.rows}
    pairs = measured(run)
    assert sorted(pair.prompt for pair in pairs) == sorted(PROMPTS)
    assert all(pair.images[SHARED].path in shown for pair in pairs)


def test_a_prompt_of_a_rebuilt_set_has_the_pair_of_its_new_image_alone(tiny_learned: Path, storage: str) -> None:
    measured(carry_out(spec_with(tiny_learned, storage)))
    gone, *stayed = PROMPTS
    edited = [*stayed, "a green hat"]
    grown = carry_out(spec_with(tiny_learned, storage, prompts=edited))
    witness = next(pair for pair in measured(grown) if pair.prompt == gone)
    run = carry_out(spec_with(tiny_learned, storage, prompts=edited), rebuild="all")
    shown = {row.prompt: row.image_path for row in run.assembled.rows}
    assert shown != {row.prompt: row.image_path for row in grown.assembled.rows}
    pairs = {pair.prompt: pair.images[SHARED].path for pair in measured(run)}
    assert len(measured(run)) == len(pairs)
    assert pairs == {**shown, gone: witness.images[SHARED].path}


def test_measuring_leaves_the_states_of_others_alone(tiny_learned: Path, storage: str) -> None:
    carry_out(spec_with(tiny_learned, storage, tau=0.0))  # what the standard arm makes, too
    run = carry_out(spec_with(tiny_learned, storage))
    before = run.stage.store.states.sizes()
    measured(run)
    assert run.stage.store.states.sizes() == before
    assert carry_out(spec_with(tiny_learned, storage, tau=0.0)).account.books.executed == 0


def test_measuring_leaves_what_a_plan_adopted_meanwhile_counts_on(
    tiny_learned: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = carry_out(spec_with(tiny_learned, storage))
    rival = spec_with(tiny_learned, storage, tau=0.0)
    real = baselines.forget
    monkeypatch.setattr(baselines, "forget", lambda *of, **about: planned(stage_of(rival)) and real(*of, **about))
    measured(run)
    assert carry_out(rival).account.books.executed == 0


def test_other_ids_and_labels_ask_for_no_baseline(tiny_learned: Path, storage: str, tmp_path: Path) -> None:
    table, source = tmp_path / "prompts.csv", {"table": str(tmp_path / "prompts.csv"), "id_column": "sku"}

    def run_of(prefix: str, shelf: str) -> Run:
        rows = "".join(f"{prefix}{place},{shelf},{text}\n" for place, text in enumerate(PROMPTS))
        table.write_text(f"sku,shelf,prompt\n{rows}", "utf-8")
        spec = spec_of(tiny_learned, storage=storage, prompts=source)
        return carry_out(spec.model_copy(update={"scoring": spec.scoring.model_copy(update={"baseline_sample": 6})}))

    measured(run_of("M", "left"))
    run = run_of("N", "right")
    assert outstanding(run.stage, run.compiled, run.prompts) == 0
    pairs = measured(run)
    assert audit(run.stage, run.compiled, run.assembled.rows).books.measured == 0
    assert {pair.prompt_id for pair in pairs} == {f"N{place}" for place in range(len(PROMPTS))}
    assert {pair.axes["shelf"] for pair in pairs} == {"right"}
