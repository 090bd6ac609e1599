"""Every fault of a document is one line that names file, field, value and remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hierflow.document import is_image_set, load_document, validated
from hierflow.errors import InputError
from hierflow.spec import DiffusionSpec, SharingSpec

GOOD = """\
type: hierflow.ImageSet
attributes:
  name: demo
  prompts: {text: [a cat, a dog]}
"""


def refusal(tmp_path: Path, text: str | bytes) -> str:
    """What is said of `text`, less the file's name, perhaps with a line, that must come first."""
    path = tmp_path / "set.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as caught:
        load_document(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    match = re.match(rf"{re.escape(str(path))}(:\d+)?: (.*)", sentence)
    assert match
    return match[2]


def test_a_document_of_a_name_and_prompts_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "set.yaml"
    path.write_text(GOOD)
    spec = load_document(path)
    assert (spec.name, spec.prompts.text) == ("demo", ["a cat", "a dog"])
    assert (spec.diffusion.model, spec.diffusion.steps, spec.diffusion.scheduler) == ("mini", 40, None)
    assert (spec.sharing.tau, spec.sharing.linkage) == (1.0, "ward")
    assert (spec.partitions.max_prompts, spec.storage.path) == (256, "./out")


def test_the_documented_example_is_read_as_written(tmp_path: Path) -> None:
    path = tmp_path / "set.yaml"
    path.write_text(
        """\
type: hierflow.ImageSet
attributes:
  name: mini_catalog
  prompts:
    template: "a {style} of a {product}"
    axes: {style: [photo, line drawing], product: [mug, chair]}
  diffusion: {model: mini, steps: 25, guidance_scale: 3, scheduler: ddim, seed: 5}
  sharing: {tau: 0, linkage: average}
  partitions: {max_prompts: 64}
  storage: {path: s3://bucket/out}
"""
    )
    spec = load_document(path)
    assert spec.prompts.axes == {"style": ["photo", "line drawing"], "product": ["mug", "chair"]}
    assert (spec.diffusion.steps, spec.diffusion.guidance_scale, spec.diffusion.seed) == (25, 3.0, 5)
    assert (spec.sharing.tau, spec.sharing.linkage, spec.storage.path) == (0.0, "average", "s3://bucket/out")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "set.yaml"
    path.write_text(GOOD, "utf-8-sig")
    assert load_document(path).name == "demo"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("diffusion: {step: 4}", "diffusion.step: is not a field; did you mean steps."),
        ("prompts: {txt: [a]}", "prompts.txt: is not a field; did you mean text."),
        ("sharng: {tau: 1}", "sharng: is not a field; did you mean sharing."),
        (
            "zzz: 1",
            "zzz: is not a field; the fields here are name, prompts, diffusion, embedding, sharing, scoring, "
            "partitions, storage, cost, "
            "schedule, runs, assets.",
        ),
    ],
)
def test_an_unknown_field_comes_with_a_suggestion(tmp_path: Path, line: str, expected: str) -> None:
    document = GOOD.replace("  prompts: {text: [a cat, a dog]}\n", "") if line.startswith("prompts") else GOOD
    assert refusal(tmp_path, f"{document}  {line}\n") == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sharing: {tau: -0.5}", r"sharing\.tau: -0\.5 is not at least 0; .*0 shares nothing"),
        ("sharing: {tau: .nan}", r"sharing\.tau: nan is not .*; .*0 shares nothing"),
        ("sharing: {tau: .inf}", r"sharing\.tau: inf is not a finite number; .*0 shares nothing"),
        ("sharing: {tau: lots}", r"sharing\.tau: 'lots' is not a number; .*0 shares nothing"),
        ("sharing: {tau: }", r"sharing\.tau: 'null' is not a number; .*0 shares nothing"),
        ("sharing: {linkage: single}", r"sharing\.linkage: 'single' is not one of 'ward', 'average' or 'centroid'"),
        ("sharing: [1]", r"sharing: \[1\] is not a mapping of fields; how much similar prompts share"),
        ("diffusion: {steps: 0}", r"diffusion\.steps: 0 is not at least 1; the number of denoising steps"),
        (
            "diffusion: {steps: forty}",
            r"diffusion\.steps: 'forty' is not a whole number; the number of",
        ),
        ("diffusion: {steps: 1.5}", r"diffusion\.steps: 1\.5 is not a whole number"),
        ("diffusion: {steps: true}", r"diffusion\.steps: True is not a whole number"),
        ("diffusion: {steps: 2000}", r"diffusion\.steps: 2000 is not at most 1000"),
        (
            "diffusion: {scheduler: dpmpp_sde}",
            r"diffusion\.scheduler: 'dpmpp_sde' is not one of 'ddpm', 'ddim', .*; the sampler",
        ),
        ("diffusion: {seed: 9223372036854775808}", r"diffusion\.seed: 9223372036854775808 is not at most 9\.2"),
        ("diffusion: {seed: -1}", r"diffusion\.seed: -1 is not at least 0; the seed"),
        ("diffusion: {guidance_scale: .nan}", r"diffusion\.guidance_scale: nan is not "),
        ("diffusion: {deterministic: perhaps}", r"diffusion\.deterministic: 'perhaps' is neither true nor false"),
        (
            "partitions: {max_prompts: 0}",
            r"partitions\.max_prompts: 0 is not at least 1; the largest number of prompts",
        ),
        ("storage: {path: ''}", r"storage\.path: '' is empty; a folder or any fsspec URL"),
        ("storage: {url: x.org}", r"storage\.url: 'x\.org' is not a URL that begins with https://"),
        ("cost: {per_gpu_hour: -1}", r"cost\.per_gpu_hour: -1 is not at least 0; the price of an hour"),
        ("schedule: daily", r"schedule\.cron: 'daily' is not a cron expression; .*five fields"),
        ("assets: {key_prefix: a}", r"assets\.key_prefix: 'a' is not a list; what stands before"),
        ("assets: {group: a b}", r"assets\.group: 'a b' is not made of letters, digits, underscores and slashes"),
    ],
)
def test_a_value_out_of_range_is_named_with_what_it_should_be(tmp_path: Path, line: str, expected: str) -> None:
    assert re.match(expected, refusal(tmp_path, f"{GOOD}  {line}\n"))


@pytest.mark.parametrize(
    "name", ["../../x", "a/b", "1st", "with space", "dash-ed", "x" * 65, "é", "'a\\n'", '"a\\n"']
)
def test_a_name_that_could_leave_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    assert re.match(r"name: '.*' is not a name: a letter first", refusal(tmp_path, GOOD.replace("demo", name)))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("  name: demo\n", "name: is missing; names the set"),
        ("  prompts: {text: [a cat, a dog]}\n", "prompts: is missing; where the prompts come from"),
    ],
)
def test_what_every_document_needs_is_asked_for(tmp_path: Path, line: str, expected: str) -> None:
    assert refusal(tmp_path, GOOD.replace(line, "")).startswith(expected)


@pytest.mark.parametrize(
    "document", ["", "# nothing but a comment\n", "- a\n- list\n", "just text", f"{GOOD}---\n{GOOD}"]
)
def test_what_is_not_one_mapping_is_refused_with_how_to_start(tmp_path: Path, document: str) -> None:
    expected = "is not one YAML mapping; start it with `type: hierflow.ImageSet` and `attributes:`."
    assert refusal(tmp_path, document) == expected


@pytest.mark.parametrize(
    ("document", "line", "problem"),
    [
        ("type: x\nattributes: [1,\n  b: }", 3, "did not find expected node content"),
        ("type: x\n\tname: y", 2, "cannot start any token"),
        ("a: *nowhere", 1, "found undefined alias"),
        (f"{GOOD}\1", None, "special characters are not allowed"),
    ],
)
def test_broken_yaml_is_refused_with_its_line(tmp_path: Path, document: str, line: int | None, problem: str) -> None:
    path = tmp_path / "set.yaml"
    path.write_text(document)
    with pytest.raises(InputError) as caught:
        load_document(path)
    assert (caught.value.file, caught.value.line) == (path, line)
    assert re.match(rf"{path}{f':{line}' if line else ''}: is not valid YAML \(.*\); correct", str(caught.value))


@pytest.mark.parametrize(
    ("document", "field", "line"),
    [
        (GOOD.replace("hierflow.ImageSet", "x"), "type", 1),
        (GOOD.replace("attributes", "atributes"), "atributes", 2),
        (GOOD.replace("  name: demo\n", ""), "name", 2),
        (f"# first\n{GOOD}  sharing:\n    linkage: ward\n    tau: -1\n", "sharing.tau", 8),
        (f"{GOOD}  sharing:\n    linkage: ward\n    tua: 1\n", "sharing.tua", 7),
        (f"{GOOD}  assets:\n    tags:\n      a.b: x\n      a.b.c: [1]\n", "assets.tags.a.b.c", 8),
        (GOOD.replace("{text: [a cat, a dog]}", "\n    text:\n      - a cat\n      - [1]"), "prompts.text.1", 7),
        (GOOD.replace("{text: [a cat, a dog]}", "{}"), "prompts", 4),
        (GOOD.replace("}", ", file: x}"), "prompts", 4),
        (f"{GOOD}  schedule: 0 25 * * *\n", "schedule.cron", 5),
        (f"{GOOD}  name: two\n", None, 5),
    ],
)
def test_a_fault_is_placed_in_its_line(tmp_path: Path, document: str, field: str | None, line: int) -> None:
    path = tmp_path / "set.yaml"
    path.write_text(document)
    with pytest.raises(InputError) as caught:
        load_document(path)
    assert (caught.value.file, caught.value.line, caught.value.field) == (path, line, field)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_yaml_that_would_run_code_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    assert "is not valid YAML" in refusal(tmp_path, f"{GOOD}  x: !!python/object/apply:os.mkdir ['{marker}']\n")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (GOOD.replace("hierflow.ImageSet", "hierflow.Imageset"), "type: 'hierflow.Imageset' is not the type of an"),
        (GOOD.replace("type: hierflow.ImageSet\n", ""), "type: is missing; write `type: hierflow.ImageSet`"),
        (GOOD.replace("attributes", "atributes"), "atributes: is not a field; did you mean attributes"),
        ("type: hierflow.ImageSet\nattributes: x\n", "attributes: 'x' is not a mapping of fields"),
        ("type: hierflow.ImageSet\nattributes:\n", "name: is missing"),
    ],
)
def test_the_frame_of_a_document_is_checked(tmp_path: Path, document: str, expected: str) -> None:
    assert refusal(tmp_path, document).startswith(expected)


@pytest.mark.parametrize(
    ("encoding", "problem", "line"),
    [
        ("latin-1", "is not UTF-8", 4),
        ("utf-16", "is UTF-16 text", None),
        ("utf-16-le", "is UTF-16 text", None),
        ("utf-16-be", "is UTF-16 text", None),
    ],
)
def test_what_is_not_utf8_is_refused_and_never_passed_over(
    tmp_path: Path, encoding: str, problem: str, line: int | None
) -> None:
    path = tmp_path / "set.yaml"
    path.write_bytes(GOOD.replace("cat", "c\xe4t").encode(encoding))
    with pytest.raises(InputError, match=problem) as caught:
        load_document(path)
    assert (caught.value.file, caught.value.line) == (path, line)
    assert is_image_set(path)  # a folder of documents loads it, and so says the same


@pytest.mark.parametrize(
    ("below", "problem"),
    [("nowhere.yaml", "does not exist"), ("", "is a folder"), ("set.yaml/below.yaml", "cannot be read")],
)
def test_a_path_that_leads_to_no_file_is_refused(tmp_path: Path, below: str, problem: str) -> None:
    (tmp_path / "set.yaml").write_text(GOOD)
    with pytest.raises(InputError, match=rf"^{tmp_path / below}: {problem}.*; give "):
        load_document(tmp_path / below)


def test_a_key_of_several_lines_is_still_told_in_one(tmp_path: Path) -> None:
    assert refusal(tmp_path, f'{GOOD}  "a\\nb": 1\n').startswith("a b: is not a field")


def test_a_key_given_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    document = tmp_path / "twice.yaml"
    document.write_text("type: hierflow.ImageSet\nattributes:\n  name: one\n  name: two\n", "utf-8")
    with pytest.raises(InputError, match=r"twice\.yaml:4: .*'name' is given twice"):
        load_document(document)


@pytest.mark.parametrize("field", ["tau", "guidance_scale"])
def test_a_truth_value_is_no_number(field: str) -> None:
    model = SharingSpec if field == "tau" else DiffusionSpec
    with pytest.raises(InputError, match=rf"^{field}: True is not a number"):
        validated(model, {field: True})


@pytest.mark.parametrize(
    ("document", "is_one"),
    [
        ("type: hierflow.ImageSet\nattributes: {}", True),
        ('type:   "hierflow.ImageSet"  # ours', True),
        ("{type: hierflow.ImageSet, attributes: {}}", True),
        ("\ufefftype: hierflow.ImageSet\r\n", True),
        ("attributes: [\ntype: hierflow.ImageSet", True),
        ("type: hierflow.ImageSets", False),
        ("# type: hierflow.ImageSet\ntype: other.Thing", False),
        ("attributes:\n  type: hierflow.ImageSet", False),
    ],
)
def test_documents_are_told_from_other_yaml_however_they_are_written(
    tmp_path: Path, document: str, is_one: bool
) -> None:
    (tmp_path / "some.yaml").write_text(document, "utf-8")
    assert is_image_set(tmp_path / "some.yaml") is is_one
