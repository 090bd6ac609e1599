"""What pairs say: metric by metric, part by part, and what decides."""

from __future__ import annotations

import numpy as np

from hierflow.scoring.judgement import FEWEST, best, judge, verdict
from hierflow.scoring.pair import ArmImage, Pair


def pairs_of(count: int, *, shared: float = 0.0, shuffled: float = -3.0, metric: str = "vqa") -> list[Pair]:
    """Pairs of twelve groups; standard images score about 0, the other arms differ from that by so much."""
    noise = np.random.default_rng(0).normal(0, 0.5, (count, 4))
    found = []
    for row, (one, two, three, four) in enumerate(noise.tolist()):
        scores = {"shared": shared + one, "standard": two, "again": three, "shuffled": shuffled + four}
        images = {arm: ArmImage(f"{arm}{row}", f"{arm}/{row}.png", "0", {metric: s}) for arm, s in scores.items()}
        axes = {"color": ["red", "blue"][row % 2], "id": f"sku {row}", "size": row if row < 3 else 0}
        pair = Pair("p", f"{row}", f"{row}", f"prompt {row}", f"part {row % 3}", axes, 0, f"{row % 12}", images, {})
        found.append(pair)
    return found


def test_shared_images_that_are_as_good_win_half_of_the_time() -> None:
    judged = judge(pairs_of(96), "vqa")
    assert judged is not None
    assert judged.arms.fault is None
    assert not judged.arms.shared.win_rate.excludes(0.5)
    assert judged.arms.shuffled.win_rate.estimate < 0.1
    assert judged.arms.shared.groups == 12


def test_what_loses_is_seen_to_lose() -> None:
    judged = judge(pairs_of(96, shared=-2.0), "vqa")
    assert judged is not None
    assert judged.arms.shared.win_rate.upper is not None
    assert judged.arms.shared.win_rate.upper < 0.3
    assert judged.arms.shared.difference.estimate < -1.5


def test_parts_with_enough_pairs_are_told_apart() -> None:
    judged = judge(pairs_of(96), "vqa")
    assert judged is not None
    assert set(judged.by) == {"partition", "color"}  # every id is another, and one size alone has enough pairs
    assert set(judged.by["color"]) == {"red", "blue"}
    assert all(part.pairs >= FEWEST for values in judged.by.values() for part in values.values())
    assert sum(part.pairs for part in judged.by["partition"].values()) == 96


def test_pairs_without_the_score_have_no_say() -> None:
    assert judge(pairs_of(9), "clip") is None
    assert judge([], "vqa") is None
    some = judge([*pairs_of(20), *pairs_of(9, metric="clip")], "vqa")
    assert some is not None
    assert some.arms.shared.pairs == 20


def test_the_first_metric_that_sees_anything_decides() -> None:
    blind, seeing = judge(pairs_of(96, shuffled=0.0), "vqa"), judge(pairs_of(96, metric="clip"), "clip")
    assert blind is not None
    assert seeing is not None
    assert blind.arms.fault is not None
    assert best([blind, seeing]) is seeing
    assert verdict([blind, seeing], 0.3).state == "passed"
    assert verdict([blind, seeing], 0.3).reason.startswith("by clip: ")
    assert verdict([blind], 0.3).state == "undecided"
    assert verdict([], 0.3).state == "undecided"
