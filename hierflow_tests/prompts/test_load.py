"""What holds for prompts of every source: stripping, identity, repetition, refusals."""

from __future__ import annotations

import pytest

from hierflow.errors import InputError
from hierflow.hashing import text_hash
from hierflow.prompts import PromptSet, PromptSource, load_prompts


def from_text(*texts: str | None) -> PromptSet:
    return load_prompts(PromptSource(text=list(texts)), ".")


def fault(*texts: str | None) -> str:
    with pytest.raises(InputError) as caught:
        from_text(*texts)
    return str(caught.value)


def test_prompts_keep_their_order_and_are_only_stripped_at_the_ends() -> None:
    assert from_text("  a  red\tdog ", "Ünïcode 狗 {x}").texts == ("a  red\tdog", "Ünïcode 狗 {x}")


def test_without_ids_the_id_follows_from_the_text_alone() -> None:
    assert from_text("a dog").ids == from_text("a cat", " a dog ").ids[1:] == (text_hash("a dog")[:16],)


def test_without_ids_a_repeated_text_is_generated_once() -> None:
    prompts = from_text("a dog", "a cat", "a dog ")
    assert (prompts.texts, prompts.repetitions) == (("a dog", "a cat"), 1)


@pytest.mark.parametrize("blank", ["", "  \t ", None])
def test_a_blank_entry_is_named_by_its_index(blank: str | None) -> None:
    message = fault("a dog", blank)
    assert message.startswith("prompts.text[1]: '' is a blank prompt; ")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a\0dog", "U+0000"),
        ("a\x1bdog", "U+001B"),
        ("a\x7fdog", "U+007F"),
        ("a\x85dog", "U+0085"),
        ("a\ud800dog", "U+D800"),
        ("a\ndog", "a line break"),
    ],
)
def test_control_characters_are_refused(text: str, names: str) -> None:
    message = fault("fine", text)
    assert message.startswith("prompts.text[1]: ")
    assert f"{names};" in message


@pytest.mark.parametrize("text", ["a\tdog", "a\u200bdog", "a\u00a0dog", "👩‍🚀", "a\u2028dog"])
def test_other_unusual_characters_are_data(text: str) -> None:
    assert from_text(text).texts == (text,)


def test_a_prompt_may_have_ten_thousand_characters_and_no_more() -> None:
    assert len(from_text("x" * 10_000)) == 1
    assert "prompts.text[0]: " in (message := fault("x" * 10_001))
    assert "has 10001 characters" in message


def test_an_endless_prompt_gives_one_short_sentence() -> None:
    message = fault("word " * 20_000)
    assert "has 99999 characters" in message
    assert len(message) < 250
    assert "\n" not in message
