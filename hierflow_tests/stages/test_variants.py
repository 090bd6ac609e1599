"""Rows that set their own seed, size or negative prompt: each kind of image is what a set of its own would make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hierflow.errors import InputError, RunError
from hierflow.images import ImageRow, decode_png
from hierflow.models.cache import remember, remembered
from hierflow.stages.embedding.advice import advice
from hierflow.stages.keeping.pruning import find_waste
from hierflow.stages.overview.preflight import check_input
from hierflow_tests.stages.runs import Run, carried_out, carry_out, spec_of, stage_of
from hierflow_tests.tiny_models.stable_diffusion import save_tiny_stable_diffusion

TEXTS = ("a red mug", "a blue mug", "a red chair", "two green cats")


@pytest.fixture(scope="module")
def tiny_sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_stable_diffusion(tmp_path_factory.mktemp("sd"))


def table(folder: Path, rows: Sequence[str], columns: str = "id,prompt,seed") -> dict[str, Any]:
    """A prompt source of these lines."""
    path = folder / "prompts.csv"
    path.write_text("\n".join([columns, *rows]) + "\n", "utf-8")
    return {"table": str(path), "id_column": "id"}


def image_of(run: Run, row: ImageRow) -> np.ndarray:
    return decode_png(run.stage.store.files.read(row.image_path))


def images(run: Run) -> dict[str, np.ndarray]:
    """The images by prompt id."""
    return {row.prompt_id: image_of(run, row) for row in run.assembled.rows}


def plain(run: Run) -> dict[str, np.ndarray]:
    """The images by prompt."""
    return {row.prompt: image_of(run, row) for row in run.assembled.rows}


def assert_books_balance(run: Run) -> None:
    document = run.compiled.document
    executed = sum(entry.evaluations for entry in run.entries)
    assert executed == document.planned == sum(lane.evaluations for lane in run.compiled.lanes)
    assert sum(row.evaluations for row in run.assembled.rows) == pytest.approx(document.planned)
    assert sum(row.evaluations_paid for row in run.assembled.rows) == pytest.approx(executed)
    assert run.account.books.balanced


def test_rows_of_another_seed_are_what_a_set_of_that_seed_makes(tiny_learned: Path, tmp_path: Path) -> None:
    rows = [f"{text[-3:]}{place}-{seed},{text},{seed}" for place, text in enumerate(TEXTS) for seed in ("", 5)]
    mixed = carry_out(spec_of(tiny_learned, prompts=table(tmp_path, rows), images_per_prompt=1))
    own, five = (plain(carry_out(spec_of(tiny_learned, prompts=list(TEXTS), seed=seed))) for seed in (0, 5))
    for row in mixed.assembled.rows:
        expected = {0: own, 5: five}[row.seed]
        assert np.array_equal(image_of(mixed, row), expected[row.prompt]), row.prompt_id
    assert not np.array_equal(own[TEXTS[0]], five[TEXTS[0]])
    assert mixed.compiled.document.planned == 2 * mixed.compiled.plan.evaluations
    assert_books_balance(mixed)


def test_only_the_prompts_of_a_lane_are_priced_and_denoised_in_it(tiny_learned: Path, tmp_path: Path) -> None:
    rows = [f"{place},{text},{'5' if place == 0 else ''}" for place, text in enumerate(TEXTS)]
    mixed = carry_out(spec_of(tiny_learned, prompts=table(tmp_path, rows), sharing={"tau": 100.0}))
    one, steps = mixed.compiled.lanes[1], mixed.compiled.plan.steps
    assert (one.variant.seed, one.evaluations, len(one.leaves)) == (5, steps, 1)
    assert mixed.compiled.document.standard == len(TEXTS) * steps
    assert mixed.compiled.frontier_sizes.sum() == mixed.compiled.document.planned
    assert_books_balance(mixed)


def test_rows_of_other_sizes_are_what_a_set_of_that_size_makes(tiny_learned: Path, tmp_path: Path) -> None:
    sizes = [(8, 8), ("", ""), (16, 8), (8, 8)]
    rows = [f"{place},{text},{sizes[place][0]},{sizes[place][1]}" for place, text in enumerate(TEXTS)]
    columns = "id,prompt,image_width,image_height"
    mixed = carry_out(spec_of(tiny_learned, prompts=table(tmp_path, rows, columns), sharing={"tau": 0.5}))
    of_size = {}
    for width, height in set(sizes):
        size = {"width": width, "height": height} if width else {}
        alone = spec_of(tiny_learned, prompts=list(TEXTS), sharing={"tau": 0.5}, **size)
        of_size[width, height] = plain(carry_out(alone))
    for row in mixed.assembled.rows:
        made = image_of(mixed, row)
        assert made.shape[:2] == (row.image_height, row.image_width)
        assert np.array_equal(made, of_size[sizes[int(row.prompt_id)]][row.prompt]), row.prompt_id
    assert_books_balance(mixed)


def test_a_rows_negative_prompt_stands_in_place_of_the_documents(tiny_sd: Path, tmp_path: Path) -> None:
    rows = [f"{place},{text},{'blur' if place % 2 else ''}" for place, text in enumerate(TEXTS)]
    mixed = carry_out(
        spec_of(tiny_sd, prompts=table(tmp_path, rows, "id,prompt,negative_prompt"), negative_prompt="noise")
    )
    made = {
        text: plain(carry_out(spec_of(tiny_sd, prompts=list(TEXTS), negative_prompt=text)))
        for text in ("noise", "blur")
    }
    for row in mixed.assembled.rows:
        assert row.negative_prompt == ("blur" if int(row.prompt_id) % 2 else "noise")
        assert np.array_equal(image_of(mixed, row), made[row.negative_prompt][row.prompt]), row.prompt_id
    assert not np.array_equal(made["noise"][TEXTS[1]], made["blur"][TEXTS[1]])
    assert_books_balance(mixed)


def test_a_changed_seed_makes_one_image_anew_and_no_other(tiny_learned: Path, tmp_path: Path) -> None:
    rows = [f"{place},{text}," for place, text in enumerate(TEXTS)]
    before = carry_out(spec_of(tiny_learned, prompts=table(tmp_path, rows), storage=tmp_path / "out"))
    rows[1] += "9"
    after = carry_out(spec_of(tiny_learned, prompts=table(tmp_path, rows), storage=tmp_path / "out"))
    was, now = images(before), images(after)
    assert [key for key in was if not np.array_equal(was[key], now[key])] == ["1"]
    assert sum(entry.evaluations for entry in after.entries) == after.compiled.plan.steps
    assert after.compiled.document.tree == before.compiled.document.tree
    again = carry_out(spec_of(tiny_learned, prompts=table(tmp_path, rows), storage=tmp_path / "out"))
    assert again.ran == []


def test_the_order_of_the_rows_moves_no_plan(tiny_learned: Path, tmp_path: Path) -> None:
    rows = [f"{place},{text},{place % 3}" for place, text in enumerate(TEXTS)]
    storage = tmp_path / "out"
    one = carry_out(spec_of(tiny_learned, prompts=table(tmp_path, rows), storage=storage))
    other = carry_out(spec_of(tiny_learned, prompts=table(tmp_path, rows[::-1]), storage=storage))
    assert other.ran == []
    assert [lane.variant for lane in other.compiled.lanes] == [lane.variant for lane in one.compiled.lanes]


def test_a_set_without_settings_has_one_lane_an_image_index(tiny_learned: Path) -> None:
    run = carry_out(spec_of(tiny_learned, images_per_prompt=2))
    assert [lane.image_index for lane in run.compiled.lanes] == [0, 1]
    assert {lane.variant for lane in run.compiled.lanes} == {run.compiled.lanes[0].variant}
    assert run.compiled.document.planned == 2 * run.compiled.plan.evaluations


def test_seeds_that_nobody_shares_are_pointed_out(tiny_learned: Path, tmp_path: Path) -> None:
    def said(*seeds: Any) -> list[str]:
        rows = [f"{place},{text},{seed}" for place, (text, seed) in enumerate(zip(TEXTS, seeds, strict=True))]
        stage = stage_of(spec_of(tiny_learned, prompts=table(tmp_path, rows)))
        return [line for line in advice(stage, check_input(stage)) if "that no other row has" in line]

    (line,) = said(1, 2, 3, 4)
    assert line.startswith("4 of 4 rows have a seed, a size or a negative prompt that no other row has")
    assert said(1, 1, 2, 2) == said("", "", "", 4) == []


@pytest.mark.parametrize(
    ("columns", "cell", "says"),
    [
        ("id,prompt,image_width", "9", "prompts, column image_width of 'a': 9 is not a multiple of"),
        ("id,prompt,image_height", "100000", "column image_height: '100000' is not a number of pixels"),
    ],
)
def test_what_the_model_cannot_do_is_refused_before_any_work(
    tiny_learned: Path, tmp_path: Path, columns: str, cell: str, says: str
) -> None:
    stage = stage_of(
        spec_of(tiny_learned, prompts=table(tmp_path, [f"a,a mug,{cell}"], columns), storage=tmp_path / "out")
    )
    with pytest.raises(InputError) as found:
        check_input(stage)
    assert says in str(found.value)
    assert not (tmp_path / "out").exists()


def test_a_negative_prompt_without_guidance_is_refused(tiny_sd: Path, tmp_path: Path) -> None:
    source = table(tmp_path, ["a,a mug,blur"], "id,prompt,negative_prompt")
    with pytest.raises(InputError, match=r"column negative_prompt: 'blur' has no effect.*guidance_scale above 1"):
        check_input(stage_of(spec_of(tiny_sd, prompts=source, guidance_scale=1.0)))


def test_prune_keeps_what_a_rows_negative_prompt_was_encoded_to(tiny_sd: Path, tmp_path: Path) -> None:
    source = table(tmp_path, ["a,a mug,blur", "b,a hat,"], "id,prompt,negative_prompt")
    run = carry_out(spec_of(tiny_sd, prompts=source, storage=tmp_path / "out"))
    run.stage.store.prompts.save(run.prompts)
    assert find_waste(run.stage).files["conditioning"] == {}
    assert len(run.stage.store.files.list("conditioning")) == 2


def test_a_sampler_that_is_not_the_remembered_one_denoises_nothing(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIERFLOW_CACHE", str(tmp_path / "cache"))
    spec = spec_of(tiny_learned, storage=tmp_path / "out")
    _ = stage_of(spec).adapter.identity
    known = remembered("samplers")
    remember("samplers", {key: {**identity, "timesteps": [1.0]} for key, identity in known.items()})
    stale = stage_of(spec)
    with pytest.raises(RunError, match="run again"):
        carried_out(stale)
    assert stale.store.files.list("states") == []
    assert carry_out(spec).assembled.complete
