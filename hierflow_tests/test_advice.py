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


OTHER_TOOLS = {
    "<lora:name:0.8>": (["<lora:ink:0.8> mug", "<lyco:x:1>", "<hypernet:h:1> a mug"], ["<lora>", "a <b> c"]),
    "__name__": (["a __color__ mug", "a __animals/big__ cat"], ["a snake__case__name", "____", "__init__.py"]),
    "{a|b}": (["{red|blue} mug", "{2$$a|b} mug"], ["{a} mug", "{}", "a | b", "{|}"]),
    "(word:1.3)": (
        ["((mug:1.3))", "(red mug:.9)", "(mug: 1.2)", "(iphone 13:1.2)", "(mug:2)", "(a (b:1.1):1.2)"],
        ["(ratio 16:9)", "(at 12:30)", "(scale 1:43)", "(note: nice)", "mug:1.3", "(two mugs)", "(1:1.5)"],
    ),
    "BREAK": (
        ["a mug BREAK a chair", "BREAK a mug", "a mug, BREAK, a chair"],
        ["COFFEE BREAK", "a sign 'BREAK'", "BREAKING news", "BREAK GLASS", "a break"],
    ),
    "[a|b] or [a:b:0.5]": (
        ["[red|blue] mug", "[red:blue:0.5] mug", "[red:0.5] mug", "[red::5]"],
        ["[sic]", "[12:30]", "[12:30:45]", "[note: nice]", "[|]"],
    ),
}


@pytest.mark.parametrize("example", OTHER_TOOLS)
def test_syntax_of_other_tools_is_counted_once_for_each_kind(example: str) -> None:
    other_tools, plain = OTHER_TOOLS[example]
    told = [sentence for sentence in advice_on(*plain, *other_tools) if "other tools" in sentence]
    assert len(told) == 1
    assert told[0].startswith(f"{len(other_tools)} prompts hold ")
    assert example in told[0]
    first = load_prompts(validated(ImageSetSpec, {"name": "x", "prompts": {"text": other_tools[:1]}}).prompts, Path())
    assert repr(first.ids[0]) in told[0]


def test_negative_prompts_may_hold_syntax_of_other_tools_too() -> None:
    (sentence,) = advice_on("a red mug", negative_prompt="(blurry:1.4)")[:1]
    assert "'(blurry:1.4)' in 'diffusion.negative_prompt'" in sentence


def test_values_of_a_template_and_its_doubled_braces_are_looked_at_and_its_axes_are_not() -> None:
    fields = {
        "name": "advised",
        "prompts": {"template": "a {{red|blue}} {what}", "axes": {"what": ["mug", "__shape__"]}},
    }
    stage = Stage(validated(ImageSetSpec, fields), Path(), None, run="r", invocation="i")
    told = [sentence for sentence in advice(stage, load_prompts(stage.spec.prompts, Path())) if "tools" in sentence]
    assert [sentence.split()[0] for sentence in told] == ["1", "2"]
    assert ["'__shape__'" in told[0], "'{red|blue}'" in told[1]] == [True, True]


HIDDEN = "\u00a0\u2007\u202f\u00ad\u200b\u200c\u200d\u2060\ufeff"


@pytest.mark.parametrize("hidden", HIDDEN)
def test_prompts_that_look_alike_are_named(hidden: str) -> None:
    texts = ["a red mug", "a blue mug", f"a{' ' * (not hidden.isspace())}{hidden}red mug"]
    (sentence,) = (told for told in advice_on(*texts) if "no-break" in told)
    prompts = load_prompts(validated(ImageSetSpec, {"name": "x", "prompts": {"text": texts}}).prompts, Path())
    assert sentence.startswith("2 prompts look like")
    assert [repr(prompt_id) in sentence for prompt_id in prompts.ids] == [True, False, True]
    assert f"<U+{ord(hidden):04X}>" in sentence
    (sentence,) = (told for told in advice_on(*texts[1:]) if "no-break" in told)
    assert sentence.startswith("1 prompt holds")


def test_joiners_of_emoji_and_of_scripts_that_need_them_are_text() -> None:
    family, persian = "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    texts = [f"a mug {family}", "a heart \u2764\ufe0f\u200d\U0001f525", persian, persian.replace("\u200c", "")]
    assert not [told for told in advice_on(*texts) if "no-break" in told]
