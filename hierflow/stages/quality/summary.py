"""What the last quality report said, in a few figures."""

from __future__ import annotations

import json
from typing import Any

from hierflow.stages.context import Stage
from hierflow.stages.reports.assembly import QUALITY, QUALITY_PAGE


def quality_summary(stage: Stage) -> dict[str, Any] | None:
    """The report that lies beside the set, for `--json`; None if there is none, or it cannot be read."""
    try:
        data = stage.store.files.read(QUALITY)
    except FileNotFoundError:
        return None
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return {
        "page": stage.store.files.url(QUALITY_PAGE),
        "pairs": len(found["pairs"]),
        "metrics": {
            judged["metric"]: {
                **{name: judged["arms"]["shared"][name] for name in ("pairs", "difference", "win_rate")},
                "fault": judged["fault"],
            }
            for judged in found["judgements"]
        },
        "verdict": found["verdict"],
        "near_duplicates": found["alike"],
        "blank": len(found["blank"]),
    }


def missed_floor(stage: Stage) -> str:
    """Why the set misses its floor, by the last quality report; empty if that does not say that it does."""
    found = quality_summary(stage)
    verdict = found["verdict"] if found else None
    return str(verdict["reason"]) if verdict and verdict["state"] == "blocked" else ""
