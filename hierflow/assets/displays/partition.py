"""Of a partition's three assets: what was evaluated, a contact sheet, and the worst images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hierflow.assets.displays.values import PICTURE_BYTES, ROWS, Metadata, link, picture
from hierflow.assets.tables import prompt_table, table
from hierflow.images import contact_sheet, decode_png
from hierflow.prompts import PromptSet
from hierflow.scoring.choice import COMPARED
from hierflow.stages.context import Stage
from hierflow.store.records import ImageRecord, PartitionRecord

_SHEET_IMAGES = 48


def partition_metadata(stage: Stage, prompts: PromptSet, record: PartitionRecord) -> dict[str, Metadata]:
    """Of a partition's three assets, by their short names."""
    made = [image for image in record.images if not image.error]
    failed = [image for image in record.images if image.error]
    names = sorted({name for image in made for name in image.scores})
    scores = {name: [image.scores[name] for image in made if name in image.scores] for name in names}
    row_of = {prompt_id: row for row, prompt_id in enumerate(prompts.ids)}
    rows = [row_of[prompt_id] for prompt_id in dict.fromkeys(image.prompt_id for image in record.images)]
    images: Metadata = {
        "contact_sheet": _sheet(stage, made),
        "dagster/row_count": len(made),
        "failed": len(failed),
        **({"pending": record.unmade} if record.unmade else {}),
        "folder": link(stage, "images"),
    }
    unscored = [(image, name) for image in made for name in record.scorers if name not in image.scores]
    without = [{"prompt_id": image.prompt_id, "score": name, "image": image.path} for image, name in unscored[:ROWS]]
    if failed:
        images["failures"] = table({"prompt_id": image.prompt_id, "error": image.error} for image in failed)
    return {
        "subtree_latents": {
            "evaluations_planned": record.planned,
            "evaluations_executed": record.executed,
            "prompts": prompt_table(prompts, rows),
        },
        "images": images,
        "quality_scores": {
            **{f"mean_{name}": round(sum(values) / len(values), 4) for name, values in scores.items()},
            "least_like_their_prompts": table(_worst_first(prompts, row_of, made)),
            **({"unscored": len(unscored), "without_a_finite_score": table(without)} if unscored else {}),
        },
    }


def _worst_first(prompts: PromptSet, row_of: Mapping[str, int], made: list[ImageRecord]) -> Iterable[Metadata]:
    """The images that show their prompts least, by the best of the scores that say so; none if none does."""
    scored = {name for image in made for name in image.scores}
    by = next((name for name in COMPARED if name in scored), "")
    judged = sorted((image for image in made if by in image.scores), key=lambda image: image.scores[by])
    for image in judged[:10]:
        yield {"prompt": prompts.texts[row_of[image.prompt_id]], **image.scores, "image": image.path}


def _sheet(stage: Stage, images: list[ImageRecord]) -> Any:
    shown = images[:_SHEET_IMAGES]
    if not shown:
        return "no images"
    pixels = [decode_png(stage.store.files.read(image.path)) for image in shown]
    sheet = contact_sheet(pixels, PICTURE_BYTES)
    return picture(sheet, "jpeg", f"{len(shown)} of {len(images)} images")
