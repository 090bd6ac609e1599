"""Put the trained parts together as two diffusers pipelines in half precision: the folder that hierflow loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import torch
from diffusers import KandinskyV22Pipeline, UNet2DConditionModel, VQModel

from hierflow.mini.training.encode import load_prior_pipeline
from hierflow.mini.training.networks import build_decoder_scheduler
from hierflow.mini.training.work import Run, WorkFolder

# What diffusers and transformers remember about where the files once lay.
PLACE_FIELDS: Final = ("_name_or_path", "name_or_path", "is_local", "local_files_only")


def export_model(work: WorkFolder, target: Path) -> None:
    """Write `target/prior` and `target/decoder`."""
    decoder = KandinskyV22Pipeline(
        unet=UNet2DConditionModel.from_pretrained(work.part("unet")),
        movq=VQModel.from_pretrained(work.part("movq")),
        scheduler=build_decoder_scheduler(),
    )
    for name, pipeline in (("prior", load_prior_pipeline(work)), ("decoder", decoder)):
        pipeline.to(torch.float16).save_pretrained(target / name)
    for config in target.rglob("*.json"):
        forget_places(config)


def forget_places(config: Path) -> None:
    """Remove the fields of a JSON file that name a place on the machine that wrote it."""
    content = json.loads(config.read_text(encoding="utf-8"))
    kept = {key: value for key, value in content.items() if key not in PLACE_FIELDS}
    if kept != content:
        config.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def train(run: Run) -> None:
    """Write `model/`."""
    export_model(run.work, run.work.part("model"))
