"""What exists is not made again: not for a second id, not in a second run, not under other partitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from hierflow.hashing import text_hash
from hierflow.models.loaded import LoadedModel
from hierflow.stages.making.images import make_partition
from hierflow.store.storage import Storage
from hierflow_tests.stages.runs import (
    PROMPTS,
    assert_equal,
    carried_out,
    carry_out,
    spec_of,
    spoil_first_image,
    stage_of,
)

NoLoading = Callable[[], None]


@pytest.fixture
def no_loading(monkeypatch: pytest.MonkeyPatch) -> NoLoading:
    """From when it is called, a model that loads fails the test."""

    def refuse(*_: Any) -> None:
        raise AssertionError("the model was loaded")

    def apply() -> None:
        monkeypatch.setattr(LoadedModel, "_load", refuse)

    return apply


def test_one_text_under_two_ids_is_denoised_once_and_listed_twice(tiny_learned: Path, tmp_path: Path) -> None:
    rows = [("first", "a red mug"), ("second", "a blue mug"), ("third", "a red mug")]
    (tmp_path / "table.csv").write_text("id,prompt\n" + "".join(f"{i},{text}\n" for i, text in rows))
    table = {"table": str(tmp_path / "table.csv"), "id_column": "id"}
    run = carry_out(spec_of(tiny_learned, prompts=table, sharing={"tau": 0.0}))
    assert run.account.books.executed == run.account.books.planned == 2 * run.compiled.plan.steps
    assert run.account.books.problems == ()
    assert [(row.prompt_id, row.prompt) for row in run.assembled.rows] == rows
    one, _, twin = run.assembled.rows
    assert one.image_path != twin.image_path
    files = run.stage.store.files
    assert files.exists(one.image_path)
    assert files.exists(twin.image_path)
    assert len(files.list("images")) == 3
    assert one.evaluations == twin.evaluations == run.compiled.plan.steps / 2


def test_a_second_run_makes_no_evaluation_and_loads_no_model(
    tiny_learned: Path, tmp_path: Path, no_loading: NoLoading
) -> None:
    first = carry_out(spec_of(tiny_learned, storage=tmp_path))
    manifest = Path(first.assembled.manifest).read_bytes()
    no_loading()
    second = carry_out(spec_of(tiny_learned, storage=tmp_path))
    assert second.ran == []
    assert second.entries == []
    assert (second.account.books.executed, second.account.books.reused) == (0, first.account.books.planned)
    assert second.account.books.problems == ()
    assert Path(second.assembled.manifest).read_bytes() == manifest


@pytest.mark.parametrize("change", [{"max_prompts": 2}, {"prompts": PROMPTS[::-1]}])
def test_dividing_or_ordering_the_set_anew_makes_no_evaluation(
    tiny_learned: Path, tmp_path: Path, no_loading: NoLoading, change: dict[str, Any]
) -> None:
    first = carry_out(spec_of(tiny_learned, storage=tmp_path))
    pixels = first.pixels()
    no_loading()
    second = carry_out(spec_of(tiny_learned, storage=tmp_path, **change))
    assert second.account.books.executed == 0
    assert second.account.books.problems == ()
    assert_equal(second.pixels(), pixels)


def test_partitions_of_one_plan_read_none_of_each_others_records(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(tiny_learned, storage=tmp_path, max_prompts=2)
    first = carry_out(spec)
    taken, read = list[str](), Storage.read_all

    def noted(self: Storage, paths: Sequence[str]) -> dict[str, bytes]:
        taken.extend(path for path in paths if path.startswith("records/"))
        return read(self, paths)

    monkeypatch.setattr(Storage, "read_all", noted)
    assert len(first.compiled.document.partitions) > 2
    for partition in first.compiled.document.partitions:
        make_partition(first.stage, first.compiled, first.prompts, partition.key)
        assert taken == [f"records/{partition.slice}.json"]
        taken.clear()


def test_another_seed_makes_everything_anew_but_the_conditioning(tiny_learned: Path, tmp_path: Path) -> None:
    carry_out(spec_of(tiny_learned, storage=tmp_path))
    second = carry_out(spec_of(tiny_learned, storage=tmp_path, seed=1))
    assert second.account.books.executed == second.account.books.planned
    assert second.account.prior_evaluations == 0
    assert second.account.books.problems == ()


def test_a_smaller_tau_reuses_the_steps_that_are_still_shared(tiny_learned: Path, tmp_path: Path) -> None:
    carry_out(spec_of(tiny_learned, storage=tmp_path, sharing={"tau": 100.0, "checkpoint_every": 1}))
    settings = {"sharing": {"tau": 1.0, "checkpoint_every": 1}}
    second = carry_out(spec_of(tiny_learned, storage=tmp_path, **settings))
    books = second.account.books
    assert 0 < books.reused == books.planned - books.executed
    assert books.problems == ()
    assert_equal(second.latents(), carry_out(spec_of(tiny_learned, **settings)).latents())


def test_a_prompt_whose_latents_are_not_finite_fails_alone(tiny_learned: Path) -> None:
    stage = stage_of(spec_of(tiny_learned, sharing={"tau": 0.0}))
    real, doomed = (
        stage.adapter.predict,
        stage.adapter.encode(PROMPTS[1:2], [text_hash(PROMPTS[1])])["image_embeds"][0],
    )

    def predict(latents: torch.Tensor, index: int, conditioning: Any) -> torch.Tensor:
        output = real(latents, index, conditioning)
        output[(conditioning["image_embeds"] == torch.from_numpy(doomed)).all(dim=1)] = torch.nan
        return output

    stage.adapter.predict = predict  # type: ignore[method-assign]
    run = carried_out(stage)
    assert not run.assembled.complete
    assert [row.status for row in run.assembled.rows] == ["current", "failed"] + ["current"] * 4
    assert "not finite" in run.assembled.rows[1].error
    assert run.account.books.problems == ()


def test_a_prompt_whose_pixels_are_not_finite_fails_alone_and_needs_no_step_more(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(tiny_learned, storage=tmp_path)
    with monkeypatch.context() as patch:
        spoil_first_image(patch)
        run = carry_out(spec)
    (failed,) = (row for row in run.assembled.rows if row.status == "failed")
    assert failed.error.startswith("the pixels are not finite; try diffusion.dtype: float32")
    assert not failed.image_path
    assert sum(row.status == "current" for row in run.assembled.rows) == len(PROMPTS) - 1
    again = carry_out(spec)
    assert again.assembled.complete
    assert again.account.books.executed == 0
    assert_equal(again.pixels(), carry_out(spec_of(tiny_learned)).pixels())
