"""Templates and axes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierflow.errors import InputError
from hierflow.prompts import PromptSet, PromptSource, load_prompts


def expand(template: str, **axes: list[str]) -> PromptSet:
    return load_prompts(PromptSource(template=template, axes=axes), ".")


def fault(template: str, axes: dict[str, list[str]] | None) -> str:
    with pytest.raises(InputError) as caught:
        load_prompts(PromptSource(template=template, axes=axes), ".")
    return str(caught.value)


def test_the_last_axis_varies_fastest_and_every_axis_is_a_column() -> None:
    prompts = expand("{b} on {a}", a=["1", "2"], b=["x", "y"])
    assert prompts.texts == ("x on 1", "y on 1", "x on 2", "y on 2")
    assert list(prompts.columns.items()) == [("a", ("1", "1", "2", "2")), ("b", ("x", "y", "x", "y"))]


def test_an_axis_may_occur_several_times() -> None:
    assert expand("{a}, {a}!", a=["ha"]).texts == ("ha, ha!",)


def test_values_are_inserted_as_they_are() -> None:
    assert expand("a {x}", x=["{x}", "{{", "%s", r"\1", "{0.__class__}"]).texts == (
        "a {x}",
        "a {{",
        "a %s",
        r"a \1",
        "a {0.__class__}",
    )


def test_an_empty_value_leaves_the_rest() -> None:
    assert expand("a {adjective}dog", adjective=["", "red "]).texts == ("a dog", "a red dog")


def test_doubled_braces_are_literal() -> None:
    assert expand("{{{x}}} {{x}}", x=["1"]).texts == ("{1} {x}",)


def test_an_axis_name_may_hold_spaces() -> None:
    assert expand("a {art style}", **{"art style": ["photo"]}).columns == {"art style": ("photo",)}


def test_combinations_of_one_text_are_a_row_each() -> None:
    prompts = expand("{a}{b}", a=["x", "xy"], b=["yz", "z"])
    assert prompts.texts == ("xyz", "xz", "xyyz", "xyz")
    assert len(set(prompts.ids)) == 4
    assert len(prompts.distinct) == 3


@given(
    st.lists(st.sampled_from(["{a}", "{bb}", "{{", "}}", "x", " y ", "ü"]), min_size=1).map("".join),
    st.lists(st.text("pq{} ", min_size=1), min_size=1, max_size=3, unique=True),
    st.lists(st.text("rs", min_size=1), min_size=1, max_size=3, unique=True),
)
def test_expansion_agrees_with_str_format(template: str, a: list[str], bb: list[str]) -> None:
    template = "-" + template + "{a}{bb}-"
    expected = [template.format(a=x, bb=y) for x, y in itertools.product(a, bb)]
    prompts = load_prompts(PromptSource(template=template, axes={"a": a, "bb": bb}), ".")
    assert prompts.texts == tuple(dict.fromkeys(expected))


@pytest.mark.parametrize("axes", [None, {}])
def test_a_template_needs_axes(axes: dict[str, list[str]] | None) -> None:
    assert fault("a dog", axes).startswith("prompts.axes: are missing")


def test_an_axis_the_template_lacks_is_named_with_those_there_are() -> None:
    message = fault("a {colour} dog", {"color": ["red"], "size": ["big"]})
    assert message.startswith("prompts.template: 'a {colour} dog' has no axis for {colour}; ")
    assert "color, size" in message


def test_an_axis_the_template_does_not_use_is_named() -> None:
    message = fault("a {size} dog", {"size": ["big"], "color": ["red"]})
    assert message.startswith("prompts.axes.color: 'color' is an axis that the template does not use; ")


def test_an_empty_axis_is_named() -> None:
    assert fault("a {size} dog", {"size": []}).startswith("prompts.axes.size: 'size' has no values; ")


def test_a_repeated_value_is_named() -> None:
    message = fault("a {size} dog", {"size": ["big", "small", "big"]})
    assert message.startswith("prompts.axes.size: 'big' occurs twice; ")


MANIFEST = [
    *("prompt_id", "image_index", "prompt", "text_hash", "partition", "node_path", "image_path"),
    *("image_sha256", "evaluations", "evaluations_paid", "run_id", "scores", "status", "error"),
]


@pytest.mark.parametrize("name", MANIFEST)
def test_an_axis_named_like_a_column_of_the_manifest_is_refused(name: str) -> None:
    message = fault(f"a {{{name}}}", {name: ["x"]})
    assert message.startswith(f"prompts.axes.{name}: '{name}' is a column of the manifest; rename")


@pytest.mark.parametrize("bad", ["{}", "{0}", "{a.b}", "{a[0]}", "{a!r}", "{a:>3}", "{a:}"])
def test_only_names_stand_in_placeholders(bad: str) -> None:
    assert f"prompts.template: '{bad}' is not a placeholder; " in fault(f"a {bad}", {"a": ["x"]})


@pytest.mark.parametrize(("template", "at"), [("{a} {", 5), ("{a} }", 5), ("{a}}", 4), ("{{a}", 4)])
def test_a_single_brace_is_named_by_its_place(template: str, at: int) -> None:
    message = fault(template, {"a": ["x"]})
    assert message.startswith("prompts.template: ")
    assert f"at character {at};" in message


@pytest.mark.parametrize("name", ["", " ", "0", "a.b", "a\nb", "{a}", "a:b"])
def test_names_no_placeholder_can_say_are_refused(name: str) -> None:
    assert f"prompts.axes: {name!r}"[:15] in (message := fault("a {x}", {"x": ["1"], name: ["1"]}))
    assert "cannot be an axis's name" in message


def test_more_than_a_million_combinations_are_refused_before_they_are_made() -> None:
    many = [str(i) for i in range(1001)]
    message = fault("{a}{b}{c}", {"a": many, "b": many, "c": many})
    assert "prompts.axes: 'a (1001) x b (1001) x c (1001)' have 1003003001 combinations" in message


def test_a_fault_of_one_combination_names_its_values() -> None:
    message = fault("{a}{b}", {"a": ["", "x"], "b": ["y", " "]})
    assert message.startswith("prompts.template (a='', b=' '): '' is a blank prompt; ")


def test_a_fault_of_a_long_combination_stays_short() -> None:
    assert len(fault("{a}", {"a": ["x" * 100_000]})) < 350
