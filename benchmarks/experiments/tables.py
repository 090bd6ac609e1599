"""The tables: ours beside the paper's, and no sentence that an interval does not carry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.experiments.comparing import KID, Comparing
from benchmarks.experiments.fewer_steps import budgets, few_steps, samplers
from benchmarks.experiments.lists import BUDGETS, LINKAGES, MAIN, dealt_out, shared
from benchmarks.experiments.paper import NOT_AT_HAND, SAVED
from benchmarks.experiments.prompt_sets import SETS
from benchmarks.experiments.runs import Run, standard
from benchmarks.experiments.sight import Sight, measures, sentence
from benchmarks.experiments.table import WORSE, Table, listed, rate, spread, those, told

ALL_RIGHT = "all right"


def every(comparing: Comparing) -> Iterator[Table]:
    """All tables, in the order of the page."""
    table, sight = measures(comparing)
    yield table
    yield against_itself(comparing)
    yield savings(comparing, sight)
    yield randomised(comparing)
    yield budgets(comparing, sight)
    yield few_steps(comparing, sight)
    yield from samplers(comparing, sight)
    yield linkages(comparing, sight)
    yield noise(comparing)


def against_itself(comparing: Comparing) -> Table:
    """The A/A arm: the standard way under another seed beside itself."""
    table = Table(
        "Standard against standard",
        ["set", "measure", "tie band", "ties", "win rate"],
        "The standard way under another seed, beside itself: a win rate of 0.5 is expected. The tie band is the "
        "median distance of the two.",
    )
    for name in SETS:
        for score in comparing.judged:
            found = comparing.again(name, score.title)
            cells = [f"{found.band:.3g}", f"{found.ties:.0%}", rate(found)] if found else [None]
            table.add([name, score.title], cells)
            if found and found.win_rate.excludes(0.5):
                table.findings.append(f"{score.title} is broken on the {name} set: the interval does not hold 0.5.")
    return table


def savings(comparing: Comparing, sight: Sight) -> Table:
    """Table 1 in form: saving and win rate at tau 1."""
    columns = ["set", "prompts", "images", "saved", "saved, the paper", *_win_columns(comparing), ALL_RIGHT, KID]
    table = Table(
        "Saved, and win rate, at tau 1 (Table 1 in form)",
        columns,
        "Ward linkage, DDPM with 40 steps. A win rate counts pairs of shared and standard image of one prompt with "
        "noise keyed alike; differences within the tie band (the median distance of two standard images of one "
        "prompt) count half, and 0.5 is no difference. The two last columns are differences from standard; of KID "
        "less is better. The paper's win rates are not at hand.",
    )
    loses = []
    for name in SETS:
        tried, against = shared(name, 0), standard(name, 0)
        prompts = comparing.bench.set_of(tried)
        saved = f"{comparing.saved(tried):.1%}" if comparing.kept(tried) and comparing.kept(against) else None
        head = [name, f"{len(prompts.texts):,}", f"{prompts.images:,}"]
        found = {title: comparing.difference(tried, against, title) for title in comparing.titles}
        cells = [saved, SAVED.get(name, NOT_AT_HAND), *_wins(comparing, tried, against)]
        table.add(head, [*cells, told(found[ALL_RIGHT]), told(found[KID])])
        said = sentence(f"{name.capitalize()}, shared at tau 1", found, sight.clustering, "standard")
        table.findings += [said] if said else []
        if worse := those(found, sight.clustering, WORSE):
            loses.append(f"{name} (saved {saved}; by {listed(worse)})")
    table.short += [f"At tau 1 sharing loses against the standard way on: {'; '.join(loses)}."] if loses else []
    return table


def randomised(comparing: Comparing) -> Table:
    """Table 2: random clustering."""
    table = Table(
        "Random clustering (Table 2 in form)",
        ["set", *_win_columns(comparing), f"{ALL_RIGHT}, random less true", f"{KID}, random less true"],
        "The same tree with its prompts dealt out anew among the leaves, so that exactly as much is saved. Win rates "
        "are of random over true clustering. The paper's are not at hand.",
    )
    for name in SETS:
        tried, against = dealt_out(name, 0), shared(name, 0)
        differences = [told(comparing.difference(tried, against, title)) for title in (ALL_RIGHT, KID)]
        table.add([name], [*_wins(comparing, tried, against), *differences])
    return table


def linkages(comparing: Comparing, sight: Sight) -> Table:
    """The linkages at equal budgets."""
    table = Table(
        "Linkages at equal budgets",
        ["linkage", "budget", "evaluations an image", *comparing.titles],
        f"{MAIN.capitalize()} set; the tau of each linkage is the least that keeps within the budget. Less ward at "
        "the same budget. Positive is in favour of the linkage, but for KID, where negative is.",
    )
    for budget in BUDGETS:
        ward = Run(MAIN, 0, budget=budget)
        for name in LINKAGES[1:]:
            run = replace(ward, linkage=name)
            found = {title: comparing.difference(run, ward, title) for title in comparing.titles}
            each = f"{comparing.per_image(run):.1f}" if comparing.kept(run) else None
            table.add([name, f"{budget:.0%}"], [each, *map(told, found.values())])
            said = sentence(f"{name.capitalize()} at {budget:.0%}", found, sight.clustering, "ward")
            table.findings += [said] if said else []
    return table


def noise(comparing: Comparing) -> Table:
    """Initial noise of its own for every root, or one for all; and diversity."""
    table = Table(
        "Diversity, and one initial noise for all",
        ["way", "initial noise", "mean pairwise CLIP similarity", "Vendi", *comparing.titles],
        f"{MAIN.capitalize()} set. Similarity (lower is more diverse) and Vendi (higher is) over all images of a "
        "seed: mean, and least to most over seeds. Then the differences from standard images with independent "
        "initial noise. The release shares one initial noise; the paper's figures are not at hand.",
    )
    base = standard(MAIN, 0)
    for run in (base, shared(MAIN, 0)):
        for kind in ("per_root", "shared"):
            tried = replace(run, initial_noise=kind)
            found = comparing.diversity(tried)
            spreads = [spread(found.similarity, 3), spread(found.vendi, 1)] if found else [None, None]
            differences = [
                "" if tried == base else told(comparing.difference(tried, base, title)) for title in comparing.titles
            ]
            way = f"tau {run.tau:g}" if run.shares else "standard"
            table.add([way, kind], [*spreads, *differences])
    return table


def _win_columns(comparing: Comparing) -> list[str]:
    return [f"win rate, {score.title}" for score in comparing.judged]


def _wins(comparing: Comparing, tried: Run, against: Run) -> list[str | None]:
    return [rate(comparing.compared(tried, against, score.title)) for score in comparing.judged]
