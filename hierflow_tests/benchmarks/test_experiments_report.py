"""What the experiments' page says: complete rows alone, and no more than intervals carry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.experiments import page
from benchmarks.experiments.bench import Bench
from benchmarks.experiments.comparing import KID, Comparing
from benchmarks.experiments.fewer_steps import few_steps
from benchmarks.experiments.keeping import keep_run
from benchmarks.experiments.kernel_distance import kernel_distance
from benchmarks.experiments.lists import LADDER, as_many, dealt_out, few, fewer, shared
from benchmarks.experiments.making import Made
from benchmarks.experiments.runs import Run, standard
from benchmarks.experiments.sight import Sight, measures, sentence
from benchmarks.experiments.table import BETTER, UNKNOWN, WORSE, verdict
from hierflow.mini.catalogue.grammar import Attributes, parse_prompt
from hierflow.mini.catalogue.render import render
from hierflow.scoring.cluster_bootstrap import Interval

SIZE = 30


def test_the_kernel_distance_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(7, 5)), rng.normal(size=(9, 5)) + 0.5

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return float((sum(a * b for a, b in zip(x, y, strict=True)) / 5 + 1) ** 3)

    first = sum(k(x, z) for i, x in enumerate(X) for j, z in enumerate(X) if i != j) / (7 * 6)
    second = sum(k(y, z) for i, y in enumerate(Y) for j, z in enumerate(Y) if i != j) / (9 * 8)
    across = sum(k(x, y) for x in X for y in Y) / (7 * 9)
    assert kernel_distance(X, Y) == pytest.approx(first + second - 2 * across)


def test_the_kernel_distance_of_two_draws_of_one_distribution_is_0_in_the_mean() -> None:
    rng = np.random.default_rng(1)
    alike = [kernel_distance(rng.normal(size=(20, 4)), rng.normal(size=(30, 4))) for _ in range(400)]
    apart = [kernel_distance(rng.normal(size=(20, 4)), rng.normal(size=(30, 4)) + 0.5) for _ in range(400)]
    assert abs(np.mean(alike)) < 3 * np.std(alike) / 20
    assert np.mean(apart) > 10 * np.std(apart) / 20


@pytest.mark.parametrize(
    ("interval", "title", "word"),
    [
        (Interval(0.1, 0.01, 0.2), "all right", BETTER),
        (Interval(-0.1, -0.2, -0.01), "all right", WORSE),
        (Interval(0.1, 0.01, 0.2), KID, WORSE),
        (Interval(-0.1, -0.2, -0.01), KID, BETTER),
        (Interval(0.1, -0.01, 0.2), "all right", UNKNOWN),
        (Interval(0.1, None, None), "all right", UNKNOWN),
    ],
)
def test_a_verdict_needs_an_interval_without_0(interval: Interval, title: str, word: str) -> None:
    assert verdict(interval, title) == word


def test_a_sentence_speaks_of_measures_that_see_and_of_no_other() -> None:
    found = {"a": Interval(0.1, 0.01, 0.2), "b": Interval(-0.1, -0.2, -0.01), "c": Interval(0.1, -0.1, 0.2)}
    assert sentence("Tau 1", found, ["a", "c"], "standard") == (
        "Tau 1, against standard: better by a; not to be told apart by c."
    )
    assert sentence("Tau 1", found, [], "standard") is None
    assert sentence("Tau 1", found | {"a": None}, ["a"], "standard") is None


def drawn(bench: Bench, run: Run, blur: float) -> None:
    """Keep renders of a run's prompts as its images, the more of them of something else the larger `blur`."""
    prompts, rng = bench.set_of(run), np.random.default_rng(run.seed)
    images = []
    for text in prompts.texts:
        product, color, pattern, background, style = (value or 0 for value in parse_prompt(text))
        wrong = rng.random() < blur
        images.append(
            render(Attributes((product + wrong) % 12, (color + wrong) % 10, pattern, background, style), rng)
        )
    count = len(images)
    groups = [place // 3 for place in range(count)]
    keep_run(
        bench.folder(run), Made(np.stack(images), list(prompts.texts), [0] * count, groups, count * run.steps, 0, 1)
    )


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("report"), SIZE)
    worse = {20: 0.0, 12: 0.0, 8: 0.6, 4: 0.9}
    for run in (standard("templated", 0), standard("templated", 1), shared("templated", 0)):
        drawn(made, run, 0.05)
    drawn(made, dealt_out("templated", 0), 0.8)
    for steps in LADDER:
        drawn(made, fewer("templated", 0, steps), worse[steps])
    return made


def test_the_page_has_the_rows_that_are_complete_and_says_that_others_wait(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(of: Bench, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "means.png").write_bytes(b"")

    monkeypatch.setattr(page, "draw_pictures", draw)
    page.report(bench, [0], tmp_path / "experiments.md")
    text = (tmp_path / "experiments.md").read_text("utf-8")
    assert f"**8 of {len(bench.runs(seeds=[0]))} runs are done.**" in text
    assert "| templated | 30 | 30 |" in text
    assert "| diverse |" not in text
    assert "69.25 %" in text
    assert "*3 rows wait for runs that are not done.*" in text
    assert (tmp_path / "experiments" / "budgets.png").stat().st_size > 0
    assert (tmp_path / "experiments" / "means.png").exists()
    facts = pq.read_table(bench.work / page.PARQUET)
    assert {"all right", KID} <= set(facts.column("score").to_pylist())


def test_measures_see_what_is_worse_and_only_with_all_seeds(bench: Bench) -> None:
    for seed in (0, 1):
        bench.judges.see(bench.kept(standard("templated", seed)) or pytest.fail("is not kept"))
    for run in (shared("templated", 0), dealt_out("templated", 0), *(fewer("templated", 0, n) for n in LADDER)):
        bench.judges.see(bench.kept(run) or pytest.fail("is not kept"))
    table, sight = measures(Comparing(bench, [0]))
    assert "all right" in sight.both
    comparing = Comparing(bench, [0])
    near, far = (comparing.kernel(fewer("templated", 0, steps)) for steps in (20, 4))
    assert near is not None
    assert far is not None
    assert near.mean() < far.mean()
    (row,) = [row for row in table.rows if row[0] == "all right"]
    assert row[-1] == "steps (8, 4) and clustering"
    waiting, nothing = measures(Comparing(bench, [0, 1]))
    assert not waiting.rows
    assert not nothing.steps
    assert waiting.missing == len(Comparing(bench, [0]).titles)


def test_of_the_standard_way_under_another_seed_half_of_the_pairs_win(bench: Bench) -> None:
    comparing = Comparing(bench, [0])
    again = comparing.again("templated", "CLIP similarity")
    assert again
    assert not again.win_rate.excludes(0.5)
    assert again.ties > 0.3


def test_sharing_among_few_steps_stands_against_as_many_fewer(tmp_path: Path) -> None:
    bench, sight = Bench(tmp_path, SIZE), Sight(steps=["all right"], clustering=["all right"])
    for number, run in enumerate(few(0)):
        drawn(bench, run, 0.0 if number % 2 else 0.9)
        equal = as_many(run, bench.steps_like(run))
        assert not bench.kept(equal)
        drawn(bench, equal, 0.9 if number % 2 else 0.0)
    for kept in bench.done(run for one in few(0) for run in (one, as_many(one, bench.steps_like(one)))):
        bench.judges.see(kept)
    table = few_steps(Comparing(bench, [0]), sight)
    assert [row[0] for row in table.rows] == [run.title for run in few(0)]
    (short,) = table.short
    wins, loses = short.removesuffix(".").split("wins: ")[1].split("; loses: ")
    titles = [run.title for run in few(0)]
    assert wins == "; ".join(f"{title} (by all right)" for title in titles[1::2])
    assert loses == "; ".join(f"{title} (by all right)" for title in titles[0::2])
