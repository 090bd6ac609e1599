"""The page: every table whose rows are there, the pictures, and what is still to come."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.experiments.bench import Bench
from benchmarks.experiments.comparing import Comparing
from benchmarks.experiments.fewer_steps import EQUAL_BUDGETS
from benchmarks.experiments.paper import MODEL, SOURCE
from benchmarks.experiments.pictures import ROWS, SIZES, STEPS, draw_pictures
from benchmarks.experiments.plots import draw_budgets
from benchmarks.experiments.prompt_sets import SETS, mini_set
from benchmarks.experiments.table import Table
from benchmarks.experiments.tables import every
from benchmarks.results import header

PARQUET = "comparisons.parquet"


def report(bench: Bench, seeds: Sequence[int], path: Path) -> None:
    """Write the page, its pictures into the folder of its name, and all comparisons to the bench's folder."""
    runs = bench.runs(seeds=seeds)
    for kept in bench.done(runs):
        bench.judges.see(kept)
    comparing = Comparing(bench, seeds)
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    tables = list(every(comparing))
    has_plot = draw_budgets(comparing, folder / "budgets.png")
    drawn = bench.work / f"model-{bench.model}" / "pictures"
    draw_pictures(bench, drawn)
    for picture in drawn.iterdir():
        shutil.copy(picture, folder / picture.name)
    if comparing.facts:
        pq.write_table(pa.Table.from_pylist(comparing.facts), bench.work / PARQUET)
    done = sum(bench.kept(run) is not None for run in runs)
    pieces = _page(bench, seeds, tables, folder.name, has_plot, done, len(runs))
    path.write_text("\n\n".join(pieces) + "\n", "utf-8")


def _page(
    bench: Bench, seeds: Sequence[int], tables: Sequence[Table], folder: str, has_plot: bool, done: int, total: int
) -> Iterator[str]:
    yield "# The paper's experiments, on the embedded model"
    yield (
        f"Of {SOURCE}: the same questions, asked of hierflow's embedded model, whose world is drawn by us, so that "
        "what an image should show is known. `make experiments` makes every run of three seeds and this page; here "
        f"it has `--seeds {' '.join(map(str, seeds))}`. Nothing is written by hand."
    )
    yield (
        f"**The paper's figures** are of {MODEL}, and stand here as it reports them; none was measured again. Where "
        "this project does not have them, it says so."
    )
    yield (
        f"**Ours** are of `model: mini` (weights {bench.model}; 64 x 64 pixels, 13 million parameters, an easy world "
        "of five attributes), in float32 on a CPU. What holds here need not hold there. Seeds of the decoder's "
        f"noise: {', '.join(map(str, seeds))}; the prior's seed, and so embeddings and tree, are the same for all. "
        "Evaluations are counted by a hook on the network."
    )
    yield (
        "Intervals (in brackets) are of 95 %, by a bootstrap over first-level subtrees and seeds. Of mean "
        "differences they are a guide: they cover 84 to 99 times in 100. Many differences are looked at, and one in "
        "twenty would exclude 0 by chance. With one seed they speak of that seed alone."
    )
    if short := [f"- {line}" for table in tables for line in table.short]:
        yield "\n".join(["In short, as far as runs are done:", "", *short])
    yield "\n".join(_measures(bench))
    yield "\n".join(_sets(bench))
    if done < total:
        yield (
            f"**{done} of {total} runs are done.** Rows that wait for the others are left out; the same command goes "
            "on from here."
        )
    for table in tables:
        yield from _laid_out(table)
        if has_plot and table.title == EQUAL_BUDGETS:
            yield f"![Differences from the standard way over evaluations, a panel a measure]({folder}/budgets.png)"
    yield from _pictures(folder)
    yield "## Grafted or fresh"
    yield (
        "What attaching new prompts to a tree that is kept costs in quality is measured in "
        "[partial reruns](partial_reruns.md#what-a-graft-costs-in-quality)."
    )


def _laid_out(table: Table) -> Iterator[str]:
    yield f"## {table.title}"
    yield table.about
    if table.rows:
        yield "\n".join([header(table.columns), *(f"| {' | '.join(row)} |" for row in table.rows)])
    if table.missing:
        yield f"*{table.missing} rows wait for runs that are not done.*"
    if table.findings:
        yield "\n".join(f"- {finding}" for finding in table.findings)


def _measures(bench: Bench) -> Iterator[str]:
    yield "Measures:"
    yield ""
    if "vqa" in bench.judges.names:
        yield (
            '- *VQA log-odds*: of yes to `Does this figure show "{prompt}"?`, by the yes/no judge, which shares '
            "nothing with the model (the form of VQAScore, which the paper uses)."
        )
    yield "- *CLIP similarity*: by the model's own CLIP, which conditioned the decoder: no independent judge."
    yield "- *attributes right*, *all right*: of those that the prompt names, by the attribute classifier."
    yield (
        "- *KID*: kernel distance (cubic kernel, unbiased) between all images and a render beside each, over pairs "
        "of different prompts, in the classifier's last layer, scaled to unit root mean square. Less is better."
    )


def _sets(bench: Bench) -> Iterator[str]:
    sets = {name: mini_set(name, bench.size) for name in SETS}
    nouns = sets["single nouns"]
    yield "Prompt sets:"
    yield ""
    yield (
        f"- *templated*: {len(sets['templated'].texts)} combinations of 5 styles, 5 colours, 2 patterns, 5 products "
        "and 2 backgrounds."
    )
    yield f"- *diverse*: {len(sets['diverse'].texts)} random prompts, of the 19,200 that name all five attributes."
    yield (
        f"- *style variations*: {len(sets['style variations'].texts)} prompts: patterned products, each in all 40 "
        "looks (5 styles in 8 places). The paper's has one scene in 100 styles; this world has five."
    )
    yield (
        f"- *single nouns*: the world has {len(nouns.texts)} nouns and no more, so {nouns.images_per_prompt} images "
        "of each. What is shared is shared among as many prompts only, image by image."
    )


def _pictures(folder: str) -> Iterator[str]:
    yield "## On the way (Fig. 2 in form)"
    yield (
        f"{ROWS} prompts of one first-level subtree, tau 1: the image as the network expects it (x_0, decoded) after "
        f"steps {', '.join(map(str, STEPS))} of 40. Rows are alike as long as the prompts share."
    )
    yield f"![Six prompts by nine steps: alike at first, then each its own]({folder}/intermediate.png)"
    yield "## What means show (Fig. 10 in form)"
    yield (
        f"{ROWS} prompts; from left to right their own embedding, and the mean of the smallest node above them that "
        f"holds at least {', '.join(map(str, SIZES[1:-1]))} and all prompts, each denoised on its own for 40 steps "
        "from one noise."
    )
    yield f"![Images from the mean embeddings of ever larger nodes]({folder}/means.png)"
