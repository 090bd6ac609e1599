"""Numbers, dates and truth values of YAML: text fields get them as written, and number fields refuse other notations.

Every case goes through the command line's loader and through Dagster's own, which must agree.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.testing import create_defs_folder_sandbox

import hierflow
from hierflow.document import load_document
from hierflow.errors import InputError
from hierflow.spec import ImageSetSpec

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")

HEAD = "type: hierflow.ImageSet\nattributes:\n  name: demo\n"
SCALARS = [
    *("16:9", "12:30", "0123", "010", "08", "1_000", "1.10", "1.0", "5.", "0x1F", "0b11", "0o17", "1e3", "1.0e+3"),
    *(".5", "+5", "-0", "2024-01-01", "2024-01-01 10:00:00", "2024-1-1", ".inf", ".nan", "42", "1.5"),
]


def load_with_cli(path: Path) -> ImageSetSpec:
    return load_document(path)


def load_with_dagster(path: Path) -> ImageSetSpec:
    """The set of a component's document with the text of `path`; its faults name `path` in place of its own file."""
    with create_defs_folder_sandbox() as sandbox:
        folder = sandbox.scaffold_component(component_cls=hierflow.ImageSet)
        (folder / "defs.yaml").write_bytes(path.read_bytes())
        try:
            with sandbox.load_component_and_build_defs(defs_path=folder) as (component, _):
                assert isinstance(component, hierflow.ImageSet)
                return component
        except ComponentTreeException as error:
            cause = error.__cause__
            assert isinstance(cause, InputError)
            assert cause.file == folder / "defs.yaml"
            raise cause from None


@pytest.fixture(params=[load_with_cli, load_with_dagster])
def load(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    def load_text(text: str) -> ImageSetSpec:
        (tmp_path / "set.yaml").write_text(text, "utf-8")
        spec: ImageSetSpec = request.param(tmp_path / "set.yaml")
        return spec

    return load_text


def test_text_is_what_the_document_says(load: Any) -> None:
    items = "".join(f"\n      - {scalar}" for scalar in SCALARS)
    spec = load(
        f"{HEAD}  prompts:\n    template: 'a {{x}} {{2024}}'\n    axes:\n      2024: [1.10]\n      x:{items}\n"
        "  runs: {tags: {1: 0123, 2024-01-01: 16:9}}\n  assets: {tags: {a: 1.10}, key_prefix: [0123]}\n"
        "  diffusion: {revision: 0123456, negative_prompt: 1_000}\n  storage: {path: 2024-01-01}\n"
    )
    assert spec.prompts.axes == {"2024": ["1.10"], "x": SCALARS}
    assert spec.runs.tags.of("plan") == {"1": "0123", "2024-01-01": "16:9"}
    assert (spec.assets.tags, spec.assets.key_prefix) == ({"a": "1.10"}, ("0123",))
    assert (spec.diffusion.revision, spec.diffusion.negative_prompt) == ("0123456", "1_000")
    assert spec.storage.path == "2024-01-01"


def test_prompts_are_what_the_document_says(load: Any) -> None:
    assert load(f"{HEAD}  prompts: {{text: [{', '.join(SCALARS)}]}}\n").prompts.text == SCALARS


def test_anchors_and_merge_keys_keep_the_text(load: Any) -> None:
    spec = load(
        "type: hierflow.ImageSet\nattributes:\n  name: demo\n  prompts:\n    template: '{a} {b}'\n    axes:\n"
        "      a: &ratios [16:9, 1.10]\n      b: *ratios\n"
        "  runs: {tags: &tags {one: 1.10, two: 2.20}}\n  assets:\n    tags:\n      <<: *tags\n      two: 3.30\n"
        "  diffusion: {steps: 40, seed: 7, guidance_scale: 1.50, scheduler_options: {x: 1.50, y: yes, z: [1]}}\n"
    )
    assert spec.prompts.axes == {"a": ["16:9", "1.10"], "b": ["16:9", "1.10"]}
    assert spec.assets.tags == {"one": "1.10", "two": "3.30"}
    assert (spec.diffusion.steps, spec.diffusion.seed, spec.diffusion.guidance_scale) == (40, 7, 1.5)
    assert spec.diffusion.scheduler_options == {"x": 1.5, "y": True, "z": [1]}


def test_a_mapping_that_is_merged_twice_repeats_no_key(load: Any) -> None:
    spec = load(
        f"{HEAD}  prompts: {{text: [a mug]}}\n  diffusion:\n    scheduler_options:\n      a: &a {{x: 1}}\n"
        "      b: {c: &c {<<: *a, x: 2}}\n      d: {<<: *c, y: 3}\n"
    )
    assert spec.diffusion.scheduler_options["d"] == {"x": 2, "y": 3}


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("diffusion: {seed: 0123}", "diffusion.seed", "0123"),
        ("diffusion: {seed: 12:30}", "diffusion.seed", "12:30"),
        ("diffusion: {steps: 1_0}", "diffusion.steps", "1_0"),
        ("diffusion: {steps: 0x10}", "diffusion.steps", "0x10"),
        ("diffusion: {height: 0b1000000}", "diffusion.height", "0b1000000"),
        ("diffusion: {batch_size: 010}", "diffusion.batch_size", "010"),
        ("diffusion: {loras: [{model: x, weight: 1:30.5}]}", "diffusion.loras.0.weight", "1:30.5"),
        ("diffusion: {scheduler_options: {a: {b: [1, 010]}}}", "diffusion.scheduler_options.a.b.1", "010"),
        ("sharing: {tau: 1_0.5}", "sharing.tau", "1_0.5"),
        ("prompts: {template: '{seed}', axes: {seed: [7, 0123]}}", "prompts.axes.seed.1", "0123"),
        ("prompts: {template: '{seed}', axes: {image_width: [1_024]}}", "prompts.axes.image_width.0", "1_024"),
        ("prompts: {text: [a mug, 2024-99-99]}", "prompts.text.1", "2024-99-99"),
        ("prompts: {template: '{day}', axes: {day: [2024-02-30]}}", "prompts.axes.day.0", "2024-02-30"),
        ("prompts: {template: '{lights}', axes: {lights: [no]}}", "prompts.axes.lights.0", "no"),
        ("prompts: {text: [a mug, On]}", "prompts.text.1", "On"),
        ("runs: {tags: {gpu: yes}}", "runs.tags.gpu", "yes"),
        ("assets: {tags: {no: a}}", "assets.tags", "no"),
        ("prompts: {text: [{a|b}]}", "prompts.text.0", "{a|b}"),
        ("prompts: {text: [[a|b]]}", "prompts.text.0", "[a|b]"),
        ("prompts: {template: {style}}", "prompts.template", "{style}"),
        ("prompts: {text: [a mug: red]}", "prompts.text.0", "{a mug: red}"),
    ],
)
def test_what_may_not_mean_what_it_says_is_refused_with_its_line(
    load: Any, line: str, field: str, value: str
) -> None:
    with pytest.raises(InputError) as caught:
        load(f"{HEAD}\n  {line}\n")
    error = caught.value
    assert (error.field, error.value, error.line) == (field, value, 5)
    assert error.remedy


@pytest.mark.parametrize(
    "line",
    [
        "text: [{a|b} mug]",
        "text:\n      - {a|b} mug",
        "text:\n      - [a|b] mug",
        "template: {style} of a mug",
        "file: {{ env.PROMPTS }}",
    ],
)
def test_text_that_begins_with_a_brace_is_to_be_quoted(tmp_path: Path, line: str) -> None:
    (tmp_path / "set.yaml").write_text(f"{HEAD}  prompts:\n    {line}\n", "utf-8")
    with pytest.raises(InputError) as caught:
        load_document(tmp_path / "set.yaml")
    assert caught.value.line == 5 + line.count("\n")
    assert (caught.value.remedy or "").startswith("quote it")
