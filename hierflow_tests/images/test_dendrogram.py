"""The picture of the tree is small, quick and legible, whatever the set and its prompts."""

from __future__ import annotations

import io
import threading
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hierflow.images import dendrogram
from hierflow.images.dendrogram import _figure
from hierflow.images.tree_labels import Font, group_label, labelled_nodes, partition_label
from hierflow.images.tree_layout import FIRST, lay_out, live_tree, pruned
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.document import PlanDocument, PlannedPartition, PlannedVariant
from hierflow.plan.identity import SamplingIdentity
from hierflow.plan.lanes import Variant
from hierflow.plan.partitions import cut_bins
from hierflow.plan.segments import compile_plan
from hierflow.tree import EmbeddingTree
from hierflow.tree.planted import PlantedTree
from hierflow_tests.plan.trees import TAUS, grown, trees

FONT = Font(8)
ODD = [
    "$x^2$ costs $5_000 and $",
    r"\frac{1}{ \alpha $\notacommand$ {",
    "a_b^c % # & ~ {} <script>alert('x')</script>",
    "猫🐈 auf dem 屋根, 👩‍👩‍👧‍👦 🏳️‍🌈",
    "صورة لقطة على العشب",
    "חתול על הדשא",
    "e\u0301\u0302\u0303 Z̸a̷l̶g̵o̴ \u202eoverride\u202c \ufeff\u200b\u00ad",
    "tab\there \ud7ff \U0010ffff",
    "word " * 400,
    "猫" * 2000,
]
SAMPLING = SamplingIdentity("net", {}, 4.0, 64, 64, "float32", 0, "per_root", None)


def planned(
    tree: EmbeddingTree, tau: float = 0.6, steps: int = 40, max_prompts: int = 64, images: int = 1
) -> CompiledPlan:
    plan = tree.plan(tau, steps)
    partitions = tuple(
        PlannedPartition(f"a-prompt-about-as-long-as-{place % 3 * 'they-'}are-{place:06x}", subtrees, "slice")
        for place, subtrees in enumerate(cut_bins(tree, max_prompts))
    )
    document = PlanDocument(
        tree="tree",
        prompts="prompts",
        tau=tau,
        tau_from={"tau": tau},
        steps=steps,
        images_per_prompt=images,
        encoder="encoder",
        decoder="decoder",
        scorers={},
        sampling=SAMPLING,
        negative_prompt="",
        variants=(PlannedVariant(Variant(0, 64, 64), tuple(range(tree.leaves))),),
        sizes=(),
        partitions=partitions,
        tombstones=(),
        planned=plan.evaluations * images,
        standard=plan.standard_evaluations * images,
    )
    hashes = tuple(f"{leaf:06}" for leaf in range(tree.leaves))  # ascending
    return CompiledPlan(document, PlantedTree(tree, hashes, "encoder"))


def numbered(count: int) -> list[str]:
    return [f"a painting of subject {leaf % 7} in style {leaf % 5}, number {leaf}" for leaf in range(count)]


def balanced(levels: int) -> EmbeddingTree:
    """2 ** levels prompts, merged in pairs of pairs; made in no time."""
    leaves = 2**levels
    merges = np.arange(2 * leaves - 2, dtype=np.int64).reshape(-1, 2)
    return EmbeddingTree(merges, np.linspace(0.01, 3.0, leaves - 1), "ward")


def chained(leaves: int) -> EmbeddingTree:
    """A tree to which every prompt is added one by one."""
    nodes = np.arange(leaves, 2 * leaves - 2)
    merges = np.column_stack([np.append(0, nodes), np.arange(1, leaves)]).astype(np.int64)
    return EmbeddingTree(merges, np.linspace(0.01, 1.0, leaves - 1), "centroid")


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def written(compiled: CompiledPlan, texts: list[str]) -> list[str]:
    return [text.get_text() for axes in _figure(compiled, live_tree(compiled, texts)).axes for text in axes.texts]


@pytest.mark.parametrize("tree", [grown(2), grown(3), grown(120), balanced(11), balanced(14), chained(2500)])
def test_a_picture_is_below_its_limit_and_opaque_and_900_pixels_wide(tree: EmbeddingTree) -> None:
    data = dendrogram(planned(tree), numbered(tree.leaves))
    assert len(data) <= 70_000
    assert opened(data).width == 900
    assert opened(data).getpixel((1, 1)) == (250, 250, 248)


@pytest.mark.parametrize(
    ("prompts", "tau", "steps"),
    [(1, 1.0, 40), (1, 0.0, 1), (30, 0.6, 1), (30, 0.0, 40), (30, 99.0, 40), (2, 0.1, 2), (30, 0.6, 1000)],
)
def test_every_schedule_is_drawn(prompts: int, tau: float, steps: int) -> None:
    picture = opened(dendrogram(planned(grown(prompts), tau, steps), numbered(prompts)))
    assert len(picture.getcolors(1 << 20) or []) > 20


def test_identical_prompts_merge_at_height_0_and_are_drawn() -> None:
    tree = EmbeddingTree.from_embeddings(np.ones((5, 3)))
    assert dendrogram(planned(tree), numbered(5))


def test_the_title_says_what_is_saved() -> None:
    compiled = planned(grown(12), images=2)
    saved = compiled.plan.saved * 100
    assert f"12 prompts, {saved:.0f} % of 960 evaluations saved" in written(compiled, numbered(12))
    assert "1 prompt, 0 % of 40 evaluations saved" in written(planned(grown(1)), ["alone"])


def test_the_lines_that_cross_a_step_are_its_frontier() -> None:
    for tau in (0.0, 0.3, 0.8, 5.0):
        plan = grown(40).plan(tau, 12)
        layout = lay_out(plan)
        crossing = [int(((layout.start < k) & (layout.end > k)).sum()) for k in range(1, 13)]
        assert crossing == plan.frontier_sizes.tolist()


def test_splits_above_tau_stand_left_of_the_first_step() -> None:
    plan = grown(40).plan(0.8, 12)
    layout = lay_out(plan)
    above = plan.tree.node_heights > 0.8
    assert above.any()
    assert (layout.end[above] < FIRST).all()
    assert (layout.end[~above] > FIRST).all()
    assert layout.splits_before
    assert (layout.end >= layout.start).all()
    assert layout.left <= layout.start.min()
    assert not lay_out(grown(40).plan(9.0, 12)).splits_before


@given(trees(), TAUS, st.integers(1, 7), st.data())
def test_the_tree_of_the_live_prompts_has_the_plan_s_frontier(
    tree: EmbeddingTree, tau: float, steps: int, data: st.DataObject
) -> None:
    chosen = data.draw(st.lists(st.booleans(), min_size=tree.leaves, max_size=tree.leaves).filter(any))
    live = np.array(chosen)
    alone, nodes = pruned(tree, live)
    assert nodes[: alone.leaves].tolist() == np.flatnonzero(live).tolist()
    for node in range(2 * alone.leaves - 1):
        members = [leaf for leaf in tree.members(nodes[node]).tolist() if live[leaf]]
        assert nodes[alone.members(node)].tolist() == members
    frontier = compile_plan(tree, tau, steps, live).frontier_sizes
    assert alone.plan(tau, steps).frontier_sizes.tolist() == frontier.tolist()


def test_retired_prompts_are_not_drawn() -> None:
    whole = planned(grown(9), max_prompts=3)
    all_leaves = whole.document.variants[0]
    some = replace(all_leaves, leaves=tuple(leaf for leaf in all_leaves.leaves if leaf not in (2, 5)))
    less = CompiledPlan(replace(whole.document, variants=(some,)), whole.planted)
    labels = written(less, [f"prompt {leaf}" for leaf in range(9) if leaf not in (2, 5)])
    drawn = {label for label in labels if label.startswith("prompt ")}
    assert drawn == {f"prompt {leaf}" for leaf in (0, 1, 3, 4, 6, 7, 8)}
    assert any(label.startswith("7 prompts, ") for label in labels)


def test_a_partition_within_another_one_has_a_label_and_bars_of_its_own() -> None:
    tree = balanced(4)
    whole = planned(tree, max_prompts=8)
    left, right = whole.document.partitions
    within = int(
        tree.merges[left.subtrees[0] - tree.leaves][0]
    )  # as a graft that its host's partition has no room for
    partitions = (left, replace(right, subtrees=(within, *right.subtrees)))
    compiled = CompiledPlan(replace(whole.document, partitions=partitions), whole.planted)
    labels = written(compiled, numbered(16))
    assert labels.count("4 prompts") == 1
    assert labels.count("12 prompts") == 1


def test_few_prompts_are_labelled_with_their_texts_from_top_to_bottom() -> None:
    tree = grown(9)
    labels = written(planned(tree), [f"prompt {leaf}" for leaf in range(9)])
    assert [label for label in labels if label.startswith("prompt")] == [f"prompt {leaf}" for leaf in tree.leaf_order]


def test_partitions_are_labelled_with_their_keys_and_sizes() -> None:
    compiled = planned(grown(30), max_prompts=12)
    labels = written(compiled, numbered(30))
    for key in compiled.document.keys:
        assert any(label.endswith(key[-6:]) for label in labels)
        assert f"{len(compiled.texts_of(key))} prompts" in labels


def test_labels_never_overlap() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    for tree, most in ((grown(40), 5), (grown(150), 3), (chained(150), 20), (balanced(9), 64)):
        compiled = planned(tree, max_prompts=most)
        figure = _figure(compiled, live_tree(compiled, numbered(tree.leaves)))
        renderer = FigureCanvasAgg(figure).get_renderer()
        boxes = [text.get_window_extent(renderer) for axes in figure.axes for text in axes.texts]
        for place, box in enumerate(boxes):
            assert box.x0 >= 0
            assert box.x1 <= 900
            for other in boxes[:place]:
                apart = box.x0 >= other.x1 or other.x0 >= box.x1
                assert apart or min(box.y1, other.y1) - max(box.y0, other.y0) < 3  # of descenders and accents


def test_a_group_is_called_by_the_words_its_prompts_share() -> None:
    common = {"painting"}
    assert group_label(["a painting of a red fox, in Paris"], common) == "a painting of a red fox, in Paris"
    fox = ["a painting of a red fox, in Paris", "a painting of a red fox at dusk"]
    assert group_label(fox, common) == "2 × red fox"
    assert group_label(["one", "two", "three"], common) == "3, such as one"


def test_groups_have_room_and_are_as_small_as_it_allows() -> None:
    tree = grown(100)
    nodes = list(labelled_nodes(tree, 4))
    assert all(4 <= tree.sizes[node] < 8 for node in nodes)
    assert sorted(tree.leaf_starts[nodes]) == tree.leaf_starts[nodes].tolist()
    assert sorted(labelled_nodes(tree, 1)) == list(range(100))


def test_a_partition_label_keeps_the_key_s_digits() -> None:
    key = "pixel-art-of-a-blue-striped-hat-on-0eff0a"
    assert partition_label(key, 48, 4, FONT, 150) == ["pixel-art-of-a-blue-", "striped-hat-on-0eff0a", "48 prompts"]
    for lines in (0, 1, 2):
        short, *size = partition_label(key, 1, lines, FONT, 150)
        assert short.startswith("pixel-art")
        assert short.endswith("…-0eff0a")
        assert size == ["1 prompt"][: lines - 1 if lines else 0]
    assert partition_label("mug-0eff0a", 48, 1, FONT, 150) == ["mug-0eff0a"]


def test_labels_are_cut_to_the_pixels_they_have() -> None:
    assert FONT.fitted("short", 100) == "short"
    assert FONT.fitted("  two\t words ", 100) == "two words"
    for text in ("W" * 3000, "i" * 3000, "word " * 400):
        cut = FONT.fitted(text, 100)
        assert cut.endswith("…")
        assert 80 < FONT.width(cut) <= 100


def test_prompts_of_any_script_are_drawn_as_they_are_and_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for repeats in (1, 6):  # labelled one by one, and in groups
            texts = [f"{text} {number}" for text in ODD for number in range(repeats)]
            assert dendrogram(planned(grown(len(texts))), texts)
    assert "$x^2$ costs $5_000 and $" in written(planned(grown(len(ODD))), ODD)


def test_what_the_font_does_not_have_becomes_a_box() -> None:
    assert FONT.drawable("a $x_1^2$ \\frac") == "a $x_1^2$ \\frac"
    assert FONT.drawable("猫🐈 cat") == "□ cat"


def test_the_same_plan_gives_the_same_bytes_in_any_thread() -> None:
    compiled, made = planned(grown(30)), []
    first = dendrogram(compiled, numbered(30))
    threads = [threading.Thread(target=lambda: made.append(dendrogram(compiled, numbered(30)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [first] * 3


def test_a_picture_leaves_pyplot_alone() -> None:
    from matplotlib import _pylab_helpers

    dendrogram(planned(grown(5)), numbered(5))
    assert not _pylab_helpers.Gcf.figs


def test_a_small_limit_costs_detail_first_and_is_refused_in_the_end() -> None:
    compiled, texts = planned(grown(12)), numbered(12)
    assert len(dendrogram(compiled, texts)) > 18_000
    assert len(dendrogram(compiled, texts, limit_bytes=15_000)) <= 15_000
    with pytest.raises(ValueError, match="12 prompts does not fit into 500 bytes"):
        dendrogram(compiled, texts, limit_bytes=500)


def test_texts_that_are_not_one_a_leaf_are_refused() -> None:
    with pytest.raises(ValueError, match="2 texts for a plan of 3 prompts"):
        dendrogram(planned(grown(3)), ["a", "b"])
