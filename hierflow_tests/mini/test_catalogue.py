"""The mini world: its prompts, its held-out combinations, its pictures, and the classifier that judges them."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from hierflow.mini.catalogue.grammar import (
    ATTRIBUTE_NAMES,
    ATTRIBUTE_SIZES,
    BACKGROUND_PHRASES,
    COLORS,
    PATTERNS,
    PRODUCTS,
    STYLE_PHRASES,
    Attributes,
    Mentions,
    is_held_out,
    last_words,
    parse_prompt,
    prompt_for,
    prompt_of,
    random_attributes,
    random_mentions,
)
from hierflow.mini.catalogue.render import render
from hierflow.mini.judges.classifier import accuracy
from hierflow.mini.training.pictures import draw_pictures

EVERY_COMBINATION = [Attributes(*values) for values in itertools.product(*map(range, ATTRIBUTE_SIZES))]
LAST_WORDS = (PRODUCTS, COLORS, PATTERNS, tuple(BACKGROUND_PHRASES.values()), tuple(STYLE_PHRASES.values()))
EVERY_MENTION = [Mentions(True, *named) for named in itertools.product((False, True), repeat=4)]


def test_full_prompts_read_back_as_their_attributes() -> None:
    for attributes in EVERY_COMBINATION:
        assert parse_prompt(prompt_for(attributes)) == attributes


@pytest.mark.parametrize("mentions", EVERY_MENTION)
def test_unmentioned_attributes_read_back_as_none(mentions: Mentions) -> None:
    for attributes in EVERY_COMBINATION[::97]:
        expected = tuple(value if named else None for value, named in zip(attributes, mentions, strict=True))
        assert parse_prompt(prompt_for(attributes, mentions)) == expected


def test_prompts_are_plain_english() -> None:
    attributes = Attributes(product=0, color=1, pattern=1, background=0, style=0)
    assert prompt_for(attributes) == "a photo of an orange striped mug in a white studio"
    assert prompt_for(attributes, Mentions(True, False, False, False, False)) == "a mug"
    assert prompt_for(attributes, Mentions(True, True, False, True, False)) == "an orange mug in a white studio"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "mug",
        "a spotted mug",
        "a striped red mug",
        "a red mug on the moon",
        "a red",
        "a red mug mug",
        "an oil of a mug",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a prompt of the mini world"):
        parse_prompt(text)


def test_the_held_out_combinations_never_change() -> None:
    held_out = [is_held_out(attributes) for attributes in EVERY_COMBINATION]
    assert sum(held_out) == 2283
    assert [index for index, held in enumerate(held_out) if held][:8] == [12, 13, 20, 24, 31, 40, 57, 58]


def test_random_attributes_keep_to_their_side_of_the_split() -> None:
    rng = np.random.default_rng(0)
    assert not any(is_held_out(random_attributes(rng)) for _ in range(200))
    assert all(is_held_out(random_attributes(rng, held_out=True)) for _ in range(50))
    assert {is_held_out(random_attributes(rng, held_out=None)) for _ in range(200)} == {False, True}


def test_nearly_half_of_the_random_mentions_name_everything() -> None:
    rng = np.random.default_rng(0)
    drawn = [random_mentions(rng) for _ in range(2000)]
    assert all(mentions.product for mentions in drawn)
    # .45, and the chance of .55 * .6 ** 4 that nothing is left out by accident.
    assert np.mean([all(mentions) for mentions in drawn]) == pytest.approx(0.52, abs=0.04)


def test_a_seed_fixes_the_picture() -> None:
    attributes = Attributes(3, 2, 1, 5, 0)
    first, second = (render(attributes, np.random.default_rng(7)) for _ in range(2))
    assert first.shape == (64, 64, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("style", range(ATTRIBUTE_SIZES[-1]))
@pytest.mark.parametrize("column", range(len(ATTRIBUTE_NAMES)))
def test_every_attribute_changes_the_picture(column: int, style: int) -> None:
    base = Attributes(product=8, color=0, pattern=1, background=2, style=style)
    pictures = []
    for value in range(ATTRIBUTE_SIZES[column]):
        attributes = base._replace(**{ATTRIBUTE_NAMES[column]: value})
        pictures.append(render(attributes, np.random.default_rng(11)).astype(np.float64))
    differences = [np.abs(one - other).mean() for one, other in itertools.combinations(pictures, 2)]
    assert min(differences) > 0.5


def test_the_classifier_reads_fresh_held_out_renders() -> None:
    pictures = draw_pictures(200, seed=2026, held_out=True)
    shares = accuracy(pictures.images, pictures.attributes)
    assert shares["all_5"] >= 0.95
    assert min(shares[name] for name in ATTRIBUTE_NAMES) >= 0.97


def test_the_classifier_is_not_pleased_by_everything() -> None:
    pictures = draw_pictures(40, seed=1, held_out=True)
    wrong = (pictures.attributes + 1) % np.array(ATTRIBUTE_SIZES)
    assert accuracy(pictures.images, wrong)["all_5"] == 0.0


@pytest.mark.parametrize("mentions", EVERY_MENTION)
def test_the_last_word_of_every_mentioned_attribute_is_found(mentions: Mentions) -> None:
    for attributes in EVERY_COMBINATION[::197]:
        words, places = prompt_for(attributes, mentions).split(), last_words(attributes, mentions)
        assert sorted(places) == [column for column in range(len(mentions)) if mentions[column]]
        ends = [values[index].split()[-1] for values, index in zip(LAST_WORDS, attributes, strict=True)]
        assert all(words[place] == ends[column] for column, place in places.items())


@pytest.mark.parametrize("text", ["a mug", "an orange mug", "a photo of a plain fish on green grass"])
def test_a_prompt_that_was_read_is_written_again(text: str) -> None:
    assert prompt_of(parse_prompt(text)) == text


@pytest.mark.parametrize(
    "module", ["hierflow.mini", "hierflow.mini.catalogue.render", "hierflow.mini.catalogue.grammar"]
)
def test_the_catalogue_needs_no_torch(module: str) -> None:
    code = f"import sys, {module}; print({{'torch', 'diffusers', 'transformers'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
