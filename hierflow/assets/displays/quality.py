"""Of quality_report: what is known of shared images beside standard ones, and of the set as a set."""

from __future__ import annotations

from dataclasses import asdict

from hierflow.assets.displays.values import ROWS, Metadata, link
from hierflow.assets.tables import table
from hierflow.scoring.quality import Quality
from hierflow.stages.context import Stage
from hierflow.stages.reports.assembly import QUALITY, QUALITY_PAGE


def quality_metadata(stage: Stage, quality: Quality) -> Metadata:
    """Of quality_report: what is known of shared images beside standard ones, and of the set as a set."""
    found: Metadata = {
        "page": link(stage, QUALITY_PAGE),
        "quality": link(stage, QUALITY),
        "pairs": len(quality.pairs),
    }
    for one in quality.judgements:
        shared = one.arms.shared
        found |= {
            f"{one.metric}_difference": round(shared.difference.estimate, 4),
            f"{one.metric}_win_rate": round(shared.win_rate.estimate, 4),
            f"{one.metric}_win_rate_interval": str(shared.win_rate),
            f"{one.metric}_win_rate_of_another_seed": str(one.arms.again.win_rate),
            f"{one.metric}_win_rate_of_a_shuffled_tree": str(one.arms.shuffled.win_rate),
        }
        if one.arms.fault:
            found[f"{one.metric}_fault"] = one.arms.fault
    if quality.verdict:
        found["quality_floor"] = quality.verdict.reason
    for name, diversity in quality.diversity.items():
        found |= {f"similarity_{name}": round(diversity.similarity, 4), f"vendi_{name}": round(diversity.vendi, 2)}
    if quality.twins:
        found["near_duplicates"] = table(asdict(twins) for twins in quality.twins[:ROWS])
    if quality.blank:
        found["blank"] = table({"image": name} for name in quality.blank[:ROWS])
    return found
