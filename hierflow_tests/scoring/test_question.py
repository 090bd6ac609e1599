"""How a model is asked: through its chat template, or with its own mark for the image; never by guessing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers import AutoProcessor

from hierflow.errors import InputError
from hierflow.scoring.question import TEMPLATE, Question
from hierflow_tests.tiny_models.judges import IMAGE, JUDGES, save_tiny_llava

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))


def question(folder: Path) -> tuple[Question, object]:
    processor = AutoProcessor.from_pretrained(folder)
    return Question(processor, TEMPLATE, field="scoring.vqa", name="judge"), processor


def test_without_a_chat_template_the_image_goes_first_and_nothing_is_added(tmp_path: Path) -> None:
    asked, processor = question(save_tiny_llava(tmp_path, chat_template=None))
    ids = asked.inputs(PICTURE, "a mug")["input_ids"]
    text = processor.tokenizer.decode(ids[0])  # type: ignore[attr-defined]
    assert text == f'{IMAGE * 4}Does this figure show "a mug"? Please answer yes or no.'


def test_a_chat_template_that_shows_no_image_is_refused(tmp_path: Path) -> None:
    deaf = "{% for message in messages %}{{ message.role }}: {{ message.content[-1].text }}{% endfor %}"
    with pytest.raises(InputError, match=r"scoring\.vqa: 'judge' has a processor \(LlavaProcessor\) without a chat"):
        question(save_tiny_llava(tmp_path, chat_template=deaf))


def test_a_processor_with_neither_template_nor_mark_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = AutoProcessor.from_pretrained(save_tiny_llava(tmp_path, chat_template=None))
    monkeypatch.delattr(processor, "image_token")
    with pytest.raises(InputError, match="without an image token; give a model that is asked through"):
        Question(processor, TEMPLATE, field="scoring.vqa", name="judge")


def test_a_processor_that_forgets_the_image_is_refused(tmp_path: Path) -> None:
    tokenizer = AutoProcessor.from_pretrained(save_tiny_llava(tmp_path)).tokenizer

    class Forgetful:
        image_token = IMAGE

        def __init__(self) -> None:
            self.tokenizer = tokenizer

        def __call__(self, images: object, text: str, **_: object) -> Any:
            return tokenizer(text.replace(IMAGE, ""), return_tensors="pt")

    with pytest.raises(InputError, match=r"has a processor \(Forgetful\) without a chat template"):
        Question(Forgetful(), TEMPLATE, field="scoring.vqa", name="judge")


@pytest.mark.parametrize("name", sorted(JUDGES))
def test_equal_lengths_and_sizes_mean_equal_shapes(name: str, tmp_path: Path) -> None:
    asked, _ = question(JUDGES[name](tmp_path))
    other = Image.fromarray(255 - np.asarray(PICTURE))
    prompts = ["a mug", "a hat", "a red mug", "an odd <image> hat", "a <row_1_col_1> hat"]
    shapes = {
        (asked.length(prompt), *(tuple(tensor.shape) for tensor in asked.inputs(picture, prompt).values()))
        for prompt in prompts
        for picture in (PICTURE, other)
    }
    assert asked.length("a mug") == asked.length("a hat") < asked.length("a red mug")
    assert len(shapes) == len({length for length, *_ in shapes})


def test_braces_in_a_prompt_are_words(tmp_path: Path) -> None:
    asked, processor = question(save_tiny_llava(tmp_path))
    text = processor.tokenizer.decode(asked.inputs(PICTURE, "{a} {prompt}")["input_ids"][0])  # type: ignore[attr-defined]
    assert 'show "{a} {prompt}"?' in text
