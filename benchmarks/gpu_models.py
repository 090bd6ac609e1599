"""Full-size denoisers with random weights, and toys of the same make: what a GPU can be measured with alone.

The configurations are those of `stabilityai/stable-diffusion-xl-base-1.0` and
`kandinsky-community/kandinsky-2-2-decoder`, written out. Encoders are never run: their weight files are empty.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from safetensors.numpy import save_file

from hierflow.models.families import FAMILIES
from hierflow.models.loaded import LoadedModel
from hierflow.models.pipeline_adapter import PipelineAdapter
from hierflow.models.quiet import quiet_libraries
from hierflow.models.repository import Repository
from hierflow.models.runtime import resolve_runtime
from hierflow.models.source import ModelSource
from hierflow.spec import DiffusionSpec

Config = dict[str, Any]


@dataclass(frozen=True)
class BenchModel:
    """A model without weights.

    Attributes:
        title: what the table calls it.
        pipeline: its diffusers pipeline.
        networks: class and configuration of the denoiser and of what decodes, by component.
        scheduler: class of the scheduler; one whose step needs no history.
        config: of the scheduler.
        conditioning: the shape of one prompt's, by name.
        steps: of a run.
    """

    title: str
    pipeline: str
    networks: dict[str, tuple[str, Config]]
    scheduler: str
    conditioning: dict[str, tuple[int, ...]]
    steps: int
    config: Config = field(default_factory=dict)

    def opened(self, folder: Path, device: str) -> PipelineAdapter:
        """The adapter, its denoiser drawn at random on `device`, its configurations in `folder`."""
        family = FAMILIES[self.pipeline]
        self._write(folder, (*family.encoders, "image_processor"))
        source = ModelSource(self.title, family, Repository(folder), Repository(folder) if family.prior else None)
        spec = DiffusionSpec(model=self.title, steps=self.steps, device=device, deterministic=False)
        runtime = resolve_runtime(spec, family.half)
        loaded = LoadedModel(source, runtime)
        vars(loaded)["denoiser"] = self._pipeline(device, runtime.torch_dtype)
        return family.adapter_class()(source, spec, runtime, loaded)

    def drawn(self, texts: tuple[str, ...]) -> dict[str, np.ndarray[Any, Any]]:
        """Conditioning of prompts, (N, ...) by name: a direction a word, so that like prompts lie together."""
        words = sorted({word for text in texts for word in text.split()})
        rows = {}
        for place, (name, shape) in enumerate(self.conditioning.items()):
            noise = np.random.default_rng(place)
            directions = {word: noise.standard_normal(shape, dtype=np.float32) for word in words}
            shared = name.startswith("negative_")
            made = [sum(directions[word] for word in (words if shared else text.split())) for text in texts]
            rows[name] = np.stack(made).astype(np.float32) / len(shape)
        return rows

    def _pipeline(self, device: str, dtype: torch.dtype) -> Any:
        kind = getattr(diffusers, self.pipeline)
        scheduler = getattr(diffusers, self.scheduler)(**self.config)
        parts: dict[str, Any] = {"scheduler": scheduler}
        torch.manual_seed(0)
        for name, (network, config) in self.networks.items():
            with torch.device(device), quiet_libraries():
                parts[name] = getattr(diffusers, network)(**config).to(dtype).eval()
        missing = {name: None for name in FAMILIES[self.pipeline].components if name not in parts}
        pipeline = kind(**parts, **missing, **FAMILIES[self.pipeline].arguments)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def _write(self, folder: Path, encoders: tuple[str, ...]) -> None:
        classes = {name: ["diffusers", network] for name, (network, _) in self.networks.items()}
        index: Config = {"_class_name": self.pipeline, "scheduler": ["diffusers", self.scheduler], **classes}
        for name in encoders:
            if name not in index:
                index[name] = ["transformers", "Encoder"]
            _write_json(folder / name / "config.json", {})
            save_file({}, folder / name / "model.safetensors")
        for name, (_, config) in self.networks.items():
            _write_json(folder / name / "config.json", config)
            save_file({}, folder / name / "diffusion_pytorch_model.safetensors")
        _write_json(folder / "scheduler" / "scheduler_config.json", {"_class_name": self.scheduler, **self.config})
        _write_json(folder / "model_index.json", index)


def _write_json(file: Path, content: Config) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), "utf-8")


_KANDINSKY = {
    "in_channels": 4,
    "out_channels": 8,
    "addition_embed_type": "image",
    "encoder_hid_dim_type": "image_proj",
    "down_block_types": ("ResnetDownsampleBlock2D", *["SimpleCrossAttnDownBlock2D"] * 3),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": (*["SimpleCrossAttnUpBlock2D"] * 3, "ResnetUpsampleBlock2D"),
    "resnet_time_scale_shift": "scale_shift",
}
_SDXL = {
    "addition_embed_type": "text_time",
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "use_linear_projection": True,
}
_VQ = {"latent_channels": 4, "num_vq_embeddings": 16384, "vq_embed_dim": 4, "norm_type": "spatial"}
_TOY_BLOCKS = [32, 32, 32, 32]
_DDPM = {"beta_schedule": "linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False}
_DDIM = {**_DDPM, "beta_schedule": "scaled_linear", "steps_offset": 1, "set_alpha_to_one": False}


def kandinsky(*, toy: bool) -> BenchModel:
    """Kandinsky 2.2's decoder, 512 x 512."""
    sizes: Config = {
        "sample_size": 64,
        "block_out_channels": (384, 768, 1152, 1536),
        "layers_per_block": 3,
        "attention_head_dim": 64,
        "cross_attention_dim": 768,
        "encoder_hid_dim": 1280,
    }
    if toy:
        sizes |= {"sample_size": 8, "block_out_channels": (8, 8, 16, 16), "layers_per_block": 1, "norm_num_groups": 4}
        sizes |= {"attention_head_dim": 8, "cross_attention_dim": 16, "encoder_hid_dim": 32}
    movq = {
        **_VQ,
        "block_out_channels": _TOY_BLOCKS if toy else [128, 256, 256, 512],
        "down_block_types": ["DownEncoderBlock2D"] * 3 + ["AttnDownEncoderBlock2D"],
        "up_block_types": ["AttnUpDecoderBlock2D"] + ["UpDecoderBlock2D"] * 3,
        "layers_per_block": 2,
    }
    return BenchModel(
        title="Kandinsky 2.2",
        pipeline="KandinskyV22Pipeline",
        networks={"unet": ("UNet2DConditionModel", _KANDINSKY | sizes), "movq": ("VQModel", movq)},
        scheduler="DDPMScheduler",
        config={**_DDPM, "variance_type": "learned_range"},
        conditioning=dict.fromkeys(("image_embeds", "negative_image_embeds"), (sizes["encoder_hid_dim"],)),
        steps=4 if toy else 40,
    )


def sdxl(*, toy: bool) -> BenchModel:
    """Stable Diffusion XL, 1024 x 1024."""
    sizes: Config = {
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "attention_head_dim": (5, 10, 20),
        "transformer_layers_per_block": (1, 2, 10),
        "cross_attention_dim": 2048,
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    }
    if toy:
        sizes |= {"sample_size": 8, "block_out_channels": (8, 8, 16), "attention_head_dim": 2, "norm_num_groups": 4}
        sizes |= {"transformer_layers_per_block": 1, "cross_attention_dim": 32, "addition_time_embed_dim": 8}
        sizes |= {"projection_class_embeddings_input_dim": 16 + 6 * 8, "layers_per_block": 1}
    pooled = sizes["projection_class_embeddings_input_dim"] - 6 * sizes["addition_time_embed_dim"]
    vae = {
        "block_out_channels": _TOY_BLOCKS if toy else [128, 256, 512, 512],
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "layers_per_block": 2,
        "latent_channels": 4,
    }
    tokens = (77, sizes["cross_attention_dim"])
    return BenchModel(
        title="SDXL",
        pipeline="StableDiffusionXLPipeline",
        networks={"unet": ("UNet2DConditionModel", _SDXL | sizes), "vae": ("AutoencoderKL", vae)},
        scheduler="DDIMScheduler",
        config=_DDIM,
        conditioning={
            "prompt_embeds": tokens,
            "negative_prompt_embeds": tokens,
            "pooled_prompt_embeds": (pooled,),
            "negative_pooled_prompt_embeds": (pooled,),
        },
        steps=4 if toy else 40,
    )


MODELS = {"kandinsky": kandinsky, "sdxl": sdxl}
