"""What asset pages show of images."""

from __future__ import annotations

from pathlib import Path

from hierflow.assets.displays.partition import _worst_first
from hierflow.prompts import PromptSource, load_prompts
from hierflow.store.records import ImageRecord

PROMPTS = load_prompts(PromptSource.model_validate({"text": ["a red mug", "a blue mug", "a hat"]}), Path("/"))


def worst(*scores: dict[str, float]) -> list[object]:
    made = [
        ImageRecord(prompt_id, "", 0, "state", f"{place}.png", scores=own)
        for place, (prompt_id, own) in enumerate(zip(PROMPTS.ids, scores, strict=True))
    ]
    row_of = {prompt_id: row for row, prompt_id in enumerate(PROMPTS.ids)}
    return [row["image"] for row in _worst_first(PROMPTS, row_of, made)]


def test_images_are_ranked_by_the_best_judge_that_scored_them() -> None:
    assert worst({"vqa": 2.0, "clip": 0.1}, {"vqa": -1.0, "clip": 0.2}, {"clip": 0.3}) == ["1.png", "0.png"]
    assert worst({"clip": 0.3}, {"clip": 0.2}, {"clip": 0.1}) == ["2.png", "1.png", "0.png"]
    assert worst({"clip_similarity": 0.3}, {"clip_similarity": 0.2}, {"clip_similarity": 0.9}) == [
        "1.png",
        "0.png",
        "2.png",
    ]


def test_images_that_nobody_has_judged_have_no_rank() -> None:
    assert worst({}, {"safety": 1.0}, {}) == []
