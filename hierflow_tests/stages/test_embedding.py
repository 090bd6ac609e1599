"""The tree clusters by what the document says; images are made from the same conditioning whatever that is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hierflow.errors import InputError, RunError
from hierflow.generate import generate
from hierflow.models.sentence_encoder import SentenceEncoder
from hierflow.spec import EmbeddingSpec, ImageSetSpec
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import embed
from hierflow.stages.keeping.pruning import find_waste
from hierflow.stages.overview.outlook import look_ahead
from hierflow.stages.overview.preflight import check_input
from hierflow.stages.overview.summary import audit_of, status_of
from hierflow.tree import EmbeddingTree
from hierflow_tests.image_sets import command, write_document
from hierflow_tests.stages.runs import PROMPTS, Run, assert_equal, carry_out, spec_of, stage_of
from hierflow_tests.tiny_models.sentence import WIDTH, save_tiny_sentence

LATER = [*PROMPTS, "a grey mug", "two red cats"]


@pytest.fixture(scope="module")
def sentence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sentence(tmp_path_factory.mktemp("sentence"))


@pytest.fixture
def document(tiny_learned: Path, tmp_path: Path) -> Callable[..., ImageSetSpec]:
    """Documents of one set, by what they cluster by."""

    def made(source: object, **more: Any) -> ImageSetSpec:
        spec = spec_of(tiny_learned, **{"storage": tmp_path / "out", "sharing": {"tau": 0.6}, **more})
        return spec.model_copy(update={"embedding": EmbeddingSpec.model_validate({"from": str(source)})})

    return made


def vectors_of(run: Run) -> np.ndarray:
    return embed(run.stage, run.prompts).vectors


def founders(run: Run) -> set[tuple[str, ...]]:
    """The clusters that some step is shared by."""
    plan = run.compiled.plan
    return {tuple(sorted(run.compiled.planted.founders(int(node)))) for node in plan.nodes}


@pytest.mark.parametrize("source", ["text_encoder", "sentence"])
def test_the_tree_is_that_of_the_embeddings_asked_for(
    document: Callable[..., ImageSetSpec], sentence: Path, source: str
) -> None:
    run = carry_out(document(sentence if source == "sentence" else source))
    stage, texts = (
        run.stage,
        [dict(zip(run.prompts.hashes, run.prompts.distinct, strict=True))[h] for h in run.compiled.planted.texts],
    )
    assert stage.embedder is not None
    expected = EmbeddingTree.from_embeddings(stage.embedder.vectors(texts), "ward")
    assert np.array_equal(run.compiled.planted.tree.merges, expected.merges)
    assert np.array_equal(run.compiled.planted.tree.heights, expected.heights)
    assert run.compiled.planted.clustering == stage.embedder.clustering
    assert run.account.books.problems == ()


def test_images_are_conditioned_on_the_same_whatever_the_tree_clusters_by(
    document: Callable[..., ImageSetSpec], sentence: Path
) -> None:
    alone = {"sharing": {"tau": 0.0}}
    first, second = carry_out(document("conditioning", **alone)), carry_out(document(sentence, **alone))
    assert first.compiled.document.tree != second.compiled.document.tree
    assert_equal(first.pixels(), second.pixels())
    assert second.account.books.executed == 0  # every prompt alone has the states that it had
    assert first.compiled.document.encoder == second.compiled.document.encoder


def test_another_embedding_founds_a_fresh_tree_that_takes_up_what_it_shares(
    document: Callable[..., ImageSetSpec], sentence: Path
) -> None:
    first = carry_out(document("conditioning"))
    edited = document(sentence)
    outlook = look_ahead(stage_of(edited))
    assert outlook.edit is not None
    assert (outlook.edit.is_pinned, outlook.edit.clustered_by) == (False, "conditioning")
    assert outlook.clustered_by == outlook.as_json()["clustered_by"] == str(sentence)
    second = carry_out(edited)
    assert second.compiled.planted.growth is None or not second.compiled.planted.generations.any()
    assert second.account.books.executed == outlook.evaluations
    fresh = carry_out(document(sentence, storage=f"memory://{second.stage.run}"))
    assert_equal(second.pixels(), fresh.pixels())
    assert founders(second) != founders(first)
    back = carry_out(document("conditioning"))
    assert back.compiled.document.tree == first.compiled.document.tree
    assert back.account.books.executed == 0
    assert_equal(back.pixels(), first.pixels())


def test_an_edit_is_grafted_by_the_same_embeddings(document: Callable[..., ImageSetSpec], sentence: Path) -> None:
    first = carry_out(document(sentence))
    second = carry_out(document(sentence, prompts=LATER))
    assert second.compiled.planted.generations.max() > 0
    assert second.compiled.planted.clustering == first.compiled.planted.clustering
    assert second.account.books.problems == ()
    kept = {key: image for key, image in second.pixels().items() if key in first.pixels()}
    assert_equal(kept, first.pixels())


def test_embeddings_are_made_once_and_made_again_where_they_are_lost(
    document: Callable[..., ImageSetSpec], sentence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = SentenceEncoder.vectors

    def noted(self: SentenceEncoder, texts: list[str]) -> Any:
        asked.append(len(texts))
        return real(self, texts)

    monkeypatch.setattr(SentenceEncoder, "vectors", noted)
    first = carry_out(document(sentence))
    vectors = vectors_of(first)
    assert vectors.shape == (len(PROMPTS), WIDTH)
    assert asked == [len(PROMPTS)]
    assert [entry.prior_evaluations for entry in first.entries if entry.stage == "embeddings"] == [12, 0]
    second = carry_out(document(sentence, prompts=LATER))
    assert asked == [len(PROMPTS), 2]
    (shard, *_) = second.stage.store.files.list("embeddings")
    second.stage.store.files.write(shard, b"torn")
    third = carry_out(document(sentence, prompts=LATER))
    assert len(asked) == 3
    assert third.account.books.executed == 0
    assert np.array_equal(vectors_of(third), vectors_of(second))


def test_the_embedding_of_a_retired_prompt_that_is_lost_is_said(
    document: Callable[..., ImageSetSpec], sentence: Path
) -> None:
    run = carry_out(document(sentence))
    for path in run.stage.store.files.list("embeddings"):
        run.stage.store.files.delete(path)
    with pytest.raises(RunError, match=r"the stored embeddings of 1 prompts .* --rebuild"):
        look_ahead(stage_of(document(sentence, prompts=PROMPTS[1:])))


def test_nan_is_told_by_the_prompt(
    document: Callable[..., ImageSetSpec], sentence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SentenceEncoder, "vectors", lambda self, texts: np.full((len(texts), 2), np.nan))
    stage = stage_of(document(sentence))
    with pytest.raises(RunError, match="gave NaN for the prompt 'a"):
        look_ahead(stage)
    assert [entry.status for entry in stage.store.ledger.entries()][-1] == "failed"


def test_status_audit_and_images_name_it(document: Callable[..., ImageSetSpec], sentence: Path) -> None:
    run = carry_out(document("text_encoder"))
    stage: Stage = run.stage
    assert status_of(stage)["clustered_by"] == audit_of(stage).clustered_by == "text_encoder"
    assert status_of(stage)["edited"] == []
    assert status_of(stage_of(document(sentence)))["edited"] == ["embedding"]
    assert audit_of(stage).as_json()["clustered_by"] == "text_encoder"


def test_prune_keeps_the_embeddings_of_the_tree_and_no_others(
    document: Callable[..., ImageSetSpec], sentence: Path
) -> None:
    first = carry_out(document("text_encoder"))
    (before,) = first.stage.store.files.list("embeddings")
    second = carry_out(document(sentence))
    waste = find_waste(second.stage).files["conditioning"]
    assert [path for path in waste if path.startswith("embeddings/")] == [before]
    assert not any(path.startswith("conditioning/") for path in waste)


def test_the_command_line_says_what_the_tree_is_clustered_by(tmp_path: Path, sentence: Path) -> None:
    plain = write_document(tmp_path)
    assert re.search(r"embedding +conditioning\n", command("plan", plain).stdout)
    assert command("run", plain, "--json").code == 0
    edited = write_document(tmp_path, embedding={"from": str(sentence)})
    told = command("plan", edited).stdout
    assert "with a tree founded anew, as it was clustered by conditioning" in told
    assert "embedding: `hierflow plan` shows" in command("status", edited).stdout
    for name in ("status", "audit"):
        assert re.search(r"embedding +conditioning\n", command(name, edited).stdout)
    wrong = command("run", write_document(tmp_path, embedding={"from": "nowhere"}), "--json")
    assert (wrong.code, "embedding.from" in wrong.json["error"]) == (2, True)


def test_a_wrong_model_is_refused_before_anything_is_written(
    document: Callable[..., ImageSetSpec], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"embedding\.from: 'nowhere'"):
        check_input(stage_of(document("nowhere")))
    assert not (tmp_path / "out").exists()


def test_from_python(tiny_learned: Path, sentence: Path) -> None:
    settings: dict[str, Any] = {"model": str(tiny_learned), "steps": 3, "prior_steps": 2, "progress": False}
    plain, other = (generate(PROMPTS, tau=0.6, embedding=by, **settings) for by in ("conditioning", str(sentence)))
    assert len(other.images) == len(PROMPTS)
    assert plain.plan.tree.heights.tolist() != other.plan.tree.heights.tolist()
