"""The second judge: a small image-text model that answers 'Does this figure show "a red mug"?' with yes or no.

It is a folder in the hub's own format (FastVLM's: a ResNet sees, a projector translates, a tiny Llama answers). So
the code that asks real models asks it unchanged: `hierflow.scoring.vqa.load_vqa(str(YES_NO_JUDGE))`. It was trained
on drawn pictures alone, with eyes and words of its own.
"""

from __future__ import annotations

from typing import Final

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers
from transformers import (
    CLIPImageProcessor,
    FastVlmConfig,
    FastVlmForConditionalGeneration,
    LlamaConfig,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    ResNetConfig,
)

from hierflow.mini.catalogue.backgrounds import PICTURE_SIZE
from hierflow.mini.catalogue.grammar import BACKGROUND_PHRASES, COLORS, PATTERNS, PRODUCTS, STYLE_PHRASES
from hierflow.scoring.question import TEMPLATE

YES: Final = "Yes"
NO: Final = "No"
PAD: Final = "<pad>"
UNKNOWN: Final = "<unk>"
USER: Final = "<user>"
ASSISTANT: Final = "<assistant>"
END: Final = "<end>"
IMAGE: Final = "<image>"
CHAT_TEMPLATE: Final = (
    "{% for message in messages %}{{ '<' + message['role'] + '>' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)

TOWER_STEM: Final = 32
TOWER_WIDTHS: Final = (48, 96, 160)
TOWER_STRIDE: Final = 16
"""Pixels of a picture per token, along each side."""
IMAGE_TOKENS: Final = (PICTURE_SIZE // TOWER_STRIDE) ** 2


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Make the tokenizer: a token a word of the catalogue and of the question, whatever their case."""
    special = (PAD, UNKNOWN, USER, ASSISTANT, END, IMAGE)
    phrases = " ".join((*STYLE_PHRASES.values(), *BACKGROUND_PHRASES.values(), *PRODUCTS, *COLORS, *PATTERNS))
    splitter = pre_tokenizers.Whitespace()
    question = [word for word, _ in splitter.pre_tokenize_str(TEMPLATE.format(prompt=" a an ").lower())]
    words = [*special, YES, NO, *dict.fromkeys([*question, "?", ",", *phrases.split()])]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = splitter
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in special])
    tokenizer.add_tokens([AddedToken(name, single_word=True, normalized=False) for name in (YES, NO)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        eos_token=END,
        additional_special_tokens=[USER, ASSISTANT, IMAGE],
        padding_side="left",
        model_max_length=128,
    )


def build_processor() -> LlavaProcessor:
    """Make what turns a picture of any size and a conversation into the model's inputs."""
    size = {"height": PICTURE_SIZE, "width": PICTURE_SIZE}
    images = CLIPImageProcessor(
        size=size, crop_size=size, do_center_crop=False, image_mean=[0.5] * 3, image_std=[0.5] * 3, resample=2
    )
    return LlavaProcessor(
        images,
        build_tokenizer(),
        patch_size=TOWER_STRIDE,
        vision_feature_select_strategy="full",
        chat_template=CHAT_TEMPLATE,
        image_token=IMAGE,
    )


def build_judge(tokenizer: PreTrainedTokenizerFast) -> FastVlmForConditionalGeneration:
    """Make the untrained model, 1.5 million parameters."""
    vision = ResNetConfig(
        embedding_size=TOWER_STEM,
        hidden_sizes=list(TOWER_WIDTHS),
        depths=[1] * len(TOWER_WIDTHS),
        layer_type="basic",
        hidden_size=TOWER_WIDTHS[-1],
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=160,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=128,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    config = FastVlmConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=IMAGE_TOKENS,
        tie_word_embeddings=True,
    )
    return FastVlmForConditionalGeneration(config)
