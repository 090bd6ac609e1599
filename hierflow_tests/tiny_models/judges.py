"""Tiny models that read images and answer questions, in four formats of the hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hierflow_tests.tiny_models.parts import DIM, SIZE, amplify, drawn, pieces_tokenizer
from hierflow_tests.tiny_models.qwen_image import bytes_tokenizer

IMAGE = "<image>"
CONVERSATION = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% for part in message.content %}{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_ANSWERS = ["Yes", " Yes", "yes", "No"]
_VISION = {
    "hidden_size": DIM,
    "intermediate_size": DIM,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIZE,
    "patch_size": SIZE // 2,
}


def save_tiny_llava(folder: Path, *, chat_template: str | None = CONVERSATION, seed: int = 0) -> Path:
    """Write a Llava to `folder`, as safetensors; returns `folder`. An image is four tokens."""
    from transformers import CLIPImageProcessor, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

    tokenizer = bytes_tokenizer(_ANSWERS)
    tokenizer.add_tokens([IMAGE], special_tokens=True)
    processor = LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE}),
        tokenizer,
        patch_size=SIZE // 2,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat_template,
    )
    config = LlavaConfig(
        vision_config={"model_type": "clip_vision_model", **_VISION},
        text_config={"model_type": "llama", **_language(len(tokenizer))},
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        vision_feature_layer=-1,
    )
    return _save(_drawn(LlavaForConditionalGeneration(config), seed), processor, folder)


def save_tiny_idefics3(folder: Path, *, seed: int = 0) -> Path:
    """Write an Idefics3 to `folder`, which cuts images into tiles and reads them beside the whole."""
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessor,
        Idefics3Processor,
    )

    processor = Idefics3Processor(
        Idefics3ImageProcessor(size={"longest_edge": 2 * SIZE}, max_image_size={"longest_edge": SIZE}),
        bytes_tokenizer(_ANSWERS),
        image_seq_len=1,
        chat_template=CONVERSATION,
    )
    config = Idefics3Config(
        vision_config=_VISION,
        text_config={"model_type": "llama", **_language(len(processor.tokenizer))},
        image_token_id=processor.image_token_id,
        scale_factor=2,
        pad_token_id=0,
    )
    return _save(_drawn(Idefics3ForConditionalGeneration(config), seed), processor, folder)


def save_tiny_paligemma(folder: Path, *, seed: int = 0) -> Path:
    """Write a PaliGemma to `folder`: no chat template, and all of a question sees all of it."""
    from transformers import (
        PaliGemmaConfig,
        PaliGemmaForConditionalGeneration,
        PaliGemmaProcessor,
        SiglipImageProcessor,
    )

    tokenizer = bytes_tokenizer(_ANSWERS)
    tokenizer.add_special_tokens({"bos_token": "<|im_start|>"})
    images = SiglipImageProcessor(size={"height": SIZE, "width": SIZE})
    images.image_seq_length = 4
    processor = PaliGemmaProcessor(images, tokenizer)
    config = PaliGemmaConfig(
        vision_config={"model_type": "siglip_vision_model", **_VISION},
        text_config={"model_type": "gemma", **_language(len(processor.tokenizer)), "pad_token_id": 0},
        image_token_index=processor.image_token_id,
        projection_dim=DIM,
    )
    model = _drawn(PaliGemmaForConditionalGeneration(config), seed)
    for gain in model.model.language_model.parameters():
        if gain.ndim == 1:
            gain.data -= 1.0  # Gemma's norms add one themselves
    return _save(model, processor, folder)


def save_tiny_instructblip(folder: Path, *, seed: int = 0) -> Path:
    """Write an InstructBLIP to `folder`: the question goes to an encoder, the answer comes from a decoder (T5)."""
    from transformers import (
        BlipImageProcessor,
        InstructBlipConfig,
        InstructBlipForConditionalGeneration,
        InstructBlipProcessor,
    )

    pieces, words = pieces_tokenizer(), bytes_tokenizer([])
    pieces.add_tokens(["Yes", "yes"])
    images = BlipImageProcessor(size={"height": SIZE, "width": SIZE})
    processor = InstructBlipProcessor(images, pieces, words, num_query_tokens=2)
    config = InstructBlipConfig(
        vision_config=_VISION,
        qformer_config={
            "vocab_size": len(words),
            "hidden_size": DIM,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": DIM,
            "encoder_hidden_size": DIM,
            "max_position_embeddings": 512,
        },
        text_config={
            "model_type": "t5",
            "vocab_size": len(processor.tokenizer),
            "d_model": DIM,
            "d_kv": 16,
            "d_ff": DIM,
            "num_layers": 1,
            "num_heads": 2,
            "decoder_start_token_id": 0,
        },
        num_query_tokens=2,
        image_token_index=processor.tokenizer.convert_tokens_to_ids(IMAGE),
    )
    return _save(_drawn(InstructBlipForConditionalGeneration(config), seed), processor, folder)


JUDGES: dict[str, Callable[[Path], Path]] = {
    "llava": save_tiny_llava,
    "idefics3": save_tiny_idefics3,
    "paligemma": save_tiny_paligemma,
    "instructblip": save_tiny_instructblip,
}


def _language(vocabulary: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": DIM,
        "intermediate_size": DIM,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 4096,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }


def _drawn(model: Any, seed: int) -> Any:
    amplify(drawn({"model": model}, seed)["model"])
    return model


def _save(model: Any, processor: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
