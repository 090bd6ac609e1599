"""The paper's experiments at toy size: what a run is, and that each is made once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.experiments.bench import Bench
from benchmarks.experiments.keeping import Kept, keep_run
from benchmarks.experiments.lists import EXPERIMENTS, again, fewer, runs_of
from benchmarks.experiments.making import Made, make, planned, stage_of
from benchmarks.experiments.pictures import intermediate, means
from benchmarks.experiments.prompt_sets import SETS, mini_set
from benchmarks.experiments.runs import Run, standard
from hierflow.generate import generate
from hierflow.mini.catalogue.grammar import parse_prompt

PROMPTS = mini_set("templated", 6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiments")


@pytest.mark.parametrize("name", SETS)
def test_a_set_has_distinct_prompts_of_the_world_and_about_as_many_images_as_asked(name: str) -> None:
    prompts = mini_set(name, 500)
    assert len(set(prompts.texts)) == len(prompts.texts)
    assert all(parse_prompt(text) for text in prompts.texts)
    assert prompts.images == (12 * 10 if name == "single nouns" else 500)
    assert mini_set(name, 500) == prompts


def test_the_list_asks_for_each_run_once_and_for_all_of_a_seed_before_the_next() -> None:
    runs = runs_of(EXPERIMENTS, [0, 1, 2], lambda run: 12)
    assert len(set(runs)) == len(runs)
    assert runs[0] == standard("templated", 0)
    assert fewer("templated", 2, 12) in runs
    last_of_first = max(place for place, run in enumerate(runs) if run.seed == 0)
    assert {run for run in runs[:last_of_first] if run.seed} == {standard(name, 1) for name in SETS}
    assert len({run.name for run in runs}) == len(runs)


def test_the_seed_beside_is_another_one() -> None:
    assert [again(seed, [3, 5, 8]) for seed in (3, 5, 8)] == [5, 8, 3]
    assert again(4, [4]) != 4


def test_a_run_makes_what_the_package_makes(folder: Path) -> None:
    made = make(Run("templated", 1, tau=0.6, steps=4), PROMPTS, folder)
    whole = generate(PROMPTS.texts, tau=0.6, steps=4, seed=1, deterministic=False, progress=False)
    assert made.evaluations == whole.evaluations < 4 * len(PROMPTS.texts)
    assert made.prompts == list(PROMPTS.texts)
    expected = np.stack([np.asarray(image) for image in whole.images])
    assert np.abs(made.images.astype(int) - expected).max() <= 1  # batches differ, and the last bits with them


def test_a_random_clustering_saves_as_much_and_makes_other_images(folder: Path) -> None:
    true, random = (
        make(Run("templated", 0, tau=1.0, steps=4, clustering=clustering), PROMPTS, folder)
        for clustering in ("true", "random")
    )
    assert true.evaluations == random.evaluations
    assert np.abs(true.images.astype(int) - random.images).mean() > 5
    assert true.group != random.group


def test_images_of_one_prompt_have_noise_and_lanes_of_their_own(folder: Path) -> None:
    nouns = mini_set("single nouns", 24)
    made = make(Run("single nouns", 0, tau=1.0, steps=3), nouns, folder)
    assert made.image_index == [0] * 12 + [1] * 12
    assert made.prompts[:12] == made.prompts[12:] == list(nouns.texts)
    assert made.group[:12] == made.group[12:]
    assert not np.array_equal(made.images[0], made.images[12])


def some_images(count: int) -> Made:
    images = np.random.default_rng(count).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)
    texts = list(mini_set("templated", count).texts)
    return Made(images, texts, [0] * count, list(range(count)), 40 * count, 0.0, 1.0)


@pytest.mark.parametrize("count", [1, 25, 27])
def test_what_is_kept_is_read_back(count: int, tmp_path: Path) -> None:
    made = some_images(count)
    kept = keep_run(tmp_path / "run", made)
    assert np.array_equal(Kept(kept.folder).images, made.images)
    assert kept.rows == {"prompt": made.prompts, "image_index": made.image_index, "group": made.group}
    assert kept.about["evaluations"] == 40 * count


def test_a_run_is_made_once_and_a_new_judge_sees_the_images_that_are_there(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench, run = Bench(folder, 6), Run("templated", 0, tau=1.0, steps=3)
    bench.carry_out([run])
    kept = bench.kept(run)
    assert kept
    assert f"1 runs, {kept.about['evaluations']} evaluations to make" in capsys.readouterr().err
    before, made = kept.scores(bench.judges.names["clip"]), (kept.folder / "images.png").stat().st_mtime_ns
    (kept.folder / f"{bench.judges.names['clip']}.parquet").unlink()
    bench.carry_out([run])
    assert "1 runs, 0 evaluations to make" in capsys.readouterr().err
    assert np.array_equal(kept.scores(bench.judges.names["clip"])["clip"], before["clip"])
    assert (kept.folder / "images.png").stat().st_mtime_ns == made


def test_the_pictures_show_every_prompt_from_what_it_shares_to_its_own_image(folder: Path) -> None:
    run = Run("templated", 0, tau=1.5, steps=4)
    stage = stage_of(run, PROMPTS, folder)
    compiled = planned(stage, PROMPTS)
    rows = intermediate(stage, compiled, at=(1, 4))
    first, last = ([row[place] for row in rows] for place in (0, 1))
    assert all(np.array_equal(first[0], picture) for picture in first)
    assert not any(np.array_equal(last[0], picture) for picture in last[1:])
    grown = means(stage, compiled)
    assert all(np.array_equal(grown[0][-1], row[-1]) for row in grown)
    assert not np.array_equal(grown[0][0], grown[-1][0])
