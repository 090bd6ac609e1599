"""What a user is told though nothing is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierflow.document import validated
from hierflow.prompts import load_prompts
from hierflow.spec import ImageSetSpec
from hierflow.stages.context import Stage
from hierflow.stages.embedding.advice import advice


def advice_on(*texts: str, **diffusion: object) -> list[str]:
    fields = {"name": "advised", "prompts": {"text": texts}, "diffusion": diffusion}
    stage = Stage(validated(ImageSetSpec, fields), Path(), None, run="r", invocation="i")
    return advice(stage, load_prompts(stage.spec.prompts, Path()))


def test_words_the_mini_model_knows_need_no_advice() -> None:
    assert advice_on("a photo of a red striped mug on a wooden table") == []


@pytest.mark.parametrize(("times", "sentence"), [(2, "1 row repeats"), (4, "3 rows repeat")])
def test_repetitions_are_counted(times: int, sentence: str) -> None:
    (told,) = advice_on(*["a red mug"] * times, "a blue mug")
    assert told.startswith(f"{sentence} another one exactly")


def test_unknown_words_are_named() -> None:
    (sentence,) = advice_on("a photo of a futuristic robot")
    assert "'futuristic'" in sentence
    assert "'robot'" in sentence
    assert "'photo'" not in sentence


@pytest.mark.parametrize(("scheduler", "sentences"), [("ddim", 1), ("unipc", 1), ("ddpm", 0), ("euler_ancestral", 0)])
def test_one_noise_for_all_is_advised_against_where_the_sampler_adds_none(scheduler: str, sentences: int) -> None:
    assert len(advice_on("a mug", scheduler=scheduler, initial_noise="shared")) == sentences
