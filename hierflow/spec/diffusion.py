"""The model and how it samples."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from hierflow.spec.section import Number, OptionalNumber, Section

SchedulerName = Literal[
    "ddpm",
    "ddim",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "unipc",
    "deis",
    "euler",
    "euler_ancestral",
    "heun",
    "pndm",
    "lcm",
    "flow_euler",
]
AttentionName = Literal[
    "flash",
    "flex",
    "sage",
    "xformers",
    "_flash_3",
    "_native_cudnn",
    "_native_efficient",
    "_native_flash",
    "_native_math",
]
"""Those of diffusers' backends that fetch no code and are not the usual one."""

SAFETENSORS_PATTERN = r"\.safetensors$"


class LoraSpec(Section):
    """A LoRA: what a small file of weights adds to the model's own."""

    model: str = Field(
        min_length=1,
        description="A safetensors file, a folder that holds one, or a Hugging Face hub id. Relative paths are "
        "relative to the document.",
    )
    weight: Number = Field(1.0, description="How much of it is added; 0 is nothing, and less than 0 the opposite.")
    revision: str | None = Field(None, description="Branch, tag or commit of a hub LoRA.")
    file: str | None = Field(
        None,
        pattern=SAFETENSORS_PATTERN,
        description="The file within the folder or the hub repository, where there are several.",
    )


class DiffusionSpec(Section):
    """The model and how it samples. A change here makes every image anew."""

    model: str = Field(
        "mini",
        description="`mini` (the embedded model), a Hugging Face hub id, or a local folder in diffusers format. "
        "Relative folders are relative to the document.",
    )
    revision: str | None = Field(None, description="Branch, tag or commit of a hub model.")
    prior: str | None = Field(
        None,
        description="Hub id or folder of the prior; by default the model's own `prior` folder, or its hub id "
        "with `-decoder` replaced by `-prior`.",
    )
    prior_revision: str | None = Field(None, description="Branch, tag or commit of a hub prior.")
    loras: tuple[LoraSpec, ...] = Field(
        (), description="LoRAs that are added to the model's weights; needs `pip install 'hierflow[lora]'`."
    )
    steps: int = Field(40, ge=1, le=1000, strict=True, description="The number of denoising steps; 40 is usual.")
    guidance_scale: OptionalNumber = Field(
        None,
        ge=0,
        description="How strongly images follow their prompts; by default what is usual for the model, 4 for `mini`. "
        "1 or less turns classifier-free guidance off.",
    )
    negative_prompt: str | None = Field(
        None, description="What images should not show; by default nothing, as the model's own pipeline says it."
    )
    scheduler: SchedulerName | None = Field(
        None, description="The sampler; by default the one the model comes with (ddpm for `mini`)."
    )
    scheduler_options: dict[str, Any] = Field(
        {}, description="Settings of the sampler by their names in diffusers, such as `use_karras_sigmas: true`."
    )
    seed: int = Field(
        0, ge=0, le=2**63 - 1, strict=True, description="The seed all noise is derived from; the manifest holds it."
    )
    images_per_prompt: int = Field(1, ge=1, strict=True, description="Images a prompt, each with its own noise.")
    height: int | None = Field(None, ge=8, strict=True, description="Pixels; by default the model's own size.")
    width: int | None = Field(None, ge=8, strict=True, description="Pixels; by default the model's own size.")
    initial_noise: Literal["per_root", "shared"] = Field(
        "per_root",
        description="`per_root`: every tree that is not shared from the first step starts from noise of its own. "
        "`shared`: all start from one, as the paper's release does.",
    )
    prior_steps: int = Field(25, ge=1, strict=True, description="Sampling steps of the prior.")
    prior_guidance_scale: Number = Field(4.0, ge=0, description="Guidance of the prior.")
    prior_seed: int = Field(0, ge=0, strict=True, description="Seed of the prior's noise; the tree depends on it.")
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto",
        description="Precision of the networks; `auto` is float32 on a CPU, and on a GPU the half precision that the "
        "model was made for.",
    )
    device: str = Field("auto", description="`auto`, `cpu`, `cuda` or `cuda:1`.")
    deterministic: bool | None = Field(
        None,
        description="Promise equal bits whatever the batch, by always showing the network one small padded batch. "
        "By default on for float32 on a CPU, off elsewhere.",
    )
    batch_size: int | Literal["auto"] = Field(
        "auto",
        description="The most rows the denoiser sees at once. `auto`: as many as fit; where memory runs out, half as "
        "many, which the next run remembers. With `deterministic` on, the size of every batch, and images depend on "
        "its last bits.",
    )
    attention: AttentionName | None = Field(
        None,
        description="The attention backend of the denoiser, by its name in diffusers, where the model takes one, as "
        "FLUX and Qwen-Image do; by default PyTorch's own. Qwen-Image masks its prompts, so it cannot use `flash`, "
        "`sage`, `_flash_3` and `_native_flash`. What cannot run on this machine is refused.",
    )
    channels_last: bool = Field(
        False, strict=True, description="Keep the denoiser's weights in channels-last order; for UNets only."
    )
    compile: bool = Field(False, strict=True, description="Compile the denoiser with `torch.compile`.")
    vae_tiling: bool = Field(
        False, strict=True, description="Decode large images in tiles that overlap, which takes less memory."
    )
    offload: Literal["parts", "none", "layers"] = Field(
        "parts",
        description="What is on a GPU. `parts`: encoders, denoiser or decoder, each while it works. `none`: "
        "everything, once it has worked. `layers`: of the denoiser, one layer at a time, which is slow.",
    )
    safety_check: str | None = Field(
        None,
        min_length=1,
        description="Folder or hub id of a Stable Diffusion safety checker. What it says of each image is the score "
        "`flagged`, 0 or 1; no image is changed.",
    )

    @field_validator("batch_size", mode="before")
    @classmethod
    def _batch(cls, value: object) -> object:
        if value != "auto" and (type(value) is not int or value < 1):
            raise ValueError("is neither auto nor a whole number of at least 1")
        return value
