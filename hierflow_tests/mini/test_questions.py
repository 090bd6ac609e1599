"""Questions packed into one sequence are answered as when they are asked one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hierflow.mini.catalogue.grammar import Attributes
from hierflow.mini.catalogue.render import render
from hierflow.mini.judges.yes_no import NO, YES, build_judge, build_processor
from hierflow.mini.pixels import to_signed_floats
from hierflow.mini.training.claims import Claim
from hierflow.mini.training.questions import Questions
from hierflow.mini.training.yes_no import word_loss
from hierflow.scoring.question import TEMPLATE

PROMPTS = [
    ["a mug", "a photo of a red striped mug on green grass"],
    ["an orange fish under a starry night sky", "a hat"],
]


@pytest.fixture(scope="module")
def processor() -> Any:
    return build_processor()


@pytest.fixture(scope="module")
def judge(processor: Any) -> Any:
    torch.manual_seed(0)
    judge = build_judge(processor.tokenizer)
    with torch.no_grad():  # an untrained network's attention is all but even: its answers would hardly differ
        for name, value in judge.named_parameters():
            if value.ndim == 2 and "language_model" in name:
                value.normal_(std=0.2)
    return judge.eval()


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([render(Attributes(product, 1, 2, 3, 0), rng) for product in (0, 11)])


def asked_alone(judge: Any, processor: Any, picture: np.ndarray, prompt: str) -> torch.Tensor:
    content = [{"type": "image"}, {"type": "text", "text": TEMPLATE.format(prompt=prompt)}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = processor(text=text, images=Image.fromarray(picture), return_tensors="pt")
    logits: torch.Tensor = judge(**inputs).logits[0, -1]
    return logits


@torch.no_grad()
def test_packed_questions_have_the_answers_of_questions_asked_alone(
    judge: Any, processor: Any, pictures: np.ndarray
) -> None:
    maps = judge.model.vision_tower(to_signed_floats(pictures)).last_hidden_state
    packed = Questions(judge, processor).ask(maps, PROMPTS).logits
    assert (packed[0, 0] - packed[1, 0]).abs().max() > 0.1  # they do differ
    for picture, prompts, answers in zip(pictures, PROMPTS, packed, strict=True):
        for prompt, answer in zip(prompts, answers, strict=True):
            torch.testing.assert_close(answer, asked_alone(judge, processor, picture, prompt), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_prompts_begin_where_they_are_said_to(judge: Any, processor: Any, pictures: np.ndarray) -> None:
    maps = judge.model.vision_tower(to_signed_floats(pictures)).last_hidden_state
    answers = Questions(judge, processor).ask(maps, PROMPTS)
    before = TEMPLATE.partition("{prompt}")[0]
    first = 1 + 16 + len(processor.tokenizer.tokenize(before))
    second = first + len(processor.tokenizer.tokenize(PROMPTS[0][0] + TEMPLATE.partition("{prompt}")[2])) + 1
    assert answers.starts[0].tolist() == [first, second]


def test_words_are_scored_at_their_own_tokens() -> None:
    scores = torch.full((1, 10), 100.0)
    scores[0, 4], scores[0, 7] = 50.0, -50.0
    claims = [[Claim("a mug", {1: True}), Claim("a red mug", {1: False})]]
    assert word_loss(scores, torch.tensor([[3, 6]]), claims) < 1e-6
    assert word_loss(scores, torch.tensor([[6, 3]]), claims) > 1


def test_answers_are_one_token_and_words_of_the_world_are_known(processor: Any) -> None:
    tokenizer = processor.tokenizer
    assert len(tokenizer(YES).input_ids) == len(tokenizer(NO).input_ids) == 1
    question = TEMPLATE.format(prompt="A Watercolor painting of an orange checked house in front of a brick wall")
    assert tokenizer.unk_token_id not in tokenizer(question).input_ids
    assert tokenizer.unk_token_id in tokenizer("a zebra").input_ids
