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
from benchmarks.experiments.kernel_distance import kernel_shares
from benchmarks.experiments.lists import LADDER, as_many, dealt_out, few, fewer, shared
from benchmarks.experiments.making import Made
from benchmarks.experiments.runs import Run, standard
from benchmarks.experiments.sight import Sight, measures, sentence
from benchmarks.experiments.table import BETTER, UNKNOWN, WORSE, verdict
from hierflow.mini.catalogue.grammar import Attributes, parse_prompt
from hierflow.mini.catalogue.render import render
from hierflow.scoring.cluster_bootstrap import Interval

SIZE = 30


def test_the_kernel_distance_is_the_formula_over_pairs_of_different_prompts() -> None:
    rng = np.random.default_rng(0)
    prompts = np.array([0, 1, 2, 0, 1, 2])
    X, R = rng.normal(size=(6, 5)), rng.normal(size=(6, 5)) + 0.5

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return float((sum(a * b for a, b in zip(x, y, strict=True)) / 5 + 1) ** 3)

    pairs = [(i, j) for i in range(6) for j in range(6) if prompts[i] != prompts[j]]
    found = [k(X[i], X[j]) - k(X[i], R[j]) - k(R[i], X[j]) + k(R[i], R[j]) for i, j in pairs]
    assert kernel_shares(X, R, prompts).mean() == pytest.approx(np.mean(found))


def distances(shift: float, clusters: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """A row a trial, a column a picture: its share of the distance; and which of the clusters it is of."""
    rng, group = np.random.default_rng(1), np.arange(60) % clusters
    shares = []
    for _ in range(200):
        truth, render = (rng.normal(size=(clusters, 4))[group] for _ in range(2))
        images = truth + shift + 0.5 * rng.normal(size=(60, 4))
        shares.append(kernel_shares(images, render + 0.5 * rng.normal(size=(60, 4)), group))
    return np.array(shares), group


def test_the_kernel_distance_of_two_draws_of_one_distribution_is_0_in_the_mean() -> None:
    alike, apart = (distances(shift)[0].mean(axis=1) for shift in (0.0, 0.5))
    assert abs(np.mean(alike)) < 3 * np.std(alike) / np.sqrt(200)
    assert np.mean(apart) > 10 * np.std(apart) / np.sqrt(200)


def test_the_shares_of_a_kernel_distance_vary_over_subtrees_as_the_distance_does_over_trials() -> None:
    shares, group = distances(0.8)
    means = np.array([[one[group == name].mean() for name in range(30)] for one in shares])
    told = np.mean(means.std(axis=1, ddof=1) / np.sqrt(30))
    assert told == pytest.approx(shares.mean(axis=1).std(), rel=0.2)


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
    assert text.count("(experiments/budgets.png)") == 1
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
    assert np.mean(near) < np.mean(far)
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
