"""Which of a repository's weights are loaded."""

from __future__ import annotations

import pytest

from hierflow.models.weights import chosen_weights

SDXL = [
    "model_index.json",
    "sd_xl_base_1.0.safetensors",
    "text_encoder/model.fp16.safetensors",
    "text_encoder/model.safetensors",
    "unet/config.json",
    "unet/diffusion_pytorch_model.bin",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.non_ema.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "vae_1_0/diffusion_pytorch_model.safetensors",
]
PARTS = ("unet", "text_encoder", "vae")


def test_float32_takes_the_plain_weights() -> None:
    assert chosen_weights(SDXL, PARTS, "float32") == (
        (
            "text_encoder/model.safetensors",
            "unet/diffusion_pytorch_model.safetensors",
            "vae/diffusion_pytorch_model.safetensors",
        ),
        None,
    )


def test_half_precision_takes_its_own_and_plain_ones_where_there_are_none() -> None:
    assert chosen_weights(SDXL, PARTS, "float16") == (
        (
            "text_encoder/model.fp16.safetensors",
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "vae/diffusion_pytorch_model.safetensors",
        ),
        "fp16",
    )
    assert chosen_weights(SDXL, PARTS, "bfloat16") == chosen_weights(SDXL, PARTS, "float32")


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_where_there_are_only_halves_they_are_taken(dtype: str) -> None:
    halves = [f"{part}/diffusion_pytorch_model.fp16.safetensors" for part in ("unet", "vae")]
    assert chosen_weights(halves, ("unet", "vae"), dtype) == (tuple(halves), "fp16")


def test_weights_in_several_files_stay_together() -> None:
    plain = [f"text_encoder_3/model-0000{part}-of-00002.safetensors" for part in (1, 2)]
    halves = [f"text_encoder_3/model.fp16-0000{part}-of-00002.safetensors" for part in (1, 2)]
    assert chosen_weights([*plain, *halves], ("*",), "float32") == (tuple(plain), None)
    assert chosen_weights([*plain, *halves], ("*",), "float16") == (tuple(halves), "fp16")
    assert chosen_weights(plain, ("text_encoder_3",), "float16") == (tuple(plain), None)


def test_weights_of_a_name_that_says_nothing_are_all_taken() -> None:
    only = ["unet/diffusion_pytorch_model.non_ema.safetensors"]
    assert chosen_weights(only, ("unet",), "float16") == (tuple(only), None)
