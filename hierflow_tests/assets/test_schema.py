"""The schema of a document's attributes: every field described, every fault answered with what to write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from dagster.components.core.snapshot import get_package_entry_snap
from dagster_shared.serdes.objects import EnvRegistryKey
from dagster_shared.serdes.objects.package_entry import json_for_all_components

import hierflow
from hierflow.assets.schema import document_schema
from hierflow.spec import ImageSetSpec, SharingSpec
from hierflow_tests.image_sets import attributes

jsonschema = pytest.importorskip("jsonschema")  # of dg, which checks documents with it

SCHEMA = document_schema(ImageSetSpec)


def faults(**changes: Any) -> list[str]:
    """What is said of a small set with `changes`: the field and the message of each fault."""
    found = jsonschema.Draft202012Validator(SCHEMA).iter_errors(attributes(**changes))
    return [f"{'.'.join(str(part) for part in fault.absolute_path)}: {fault.message}" for fault in found]


def _fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}{name}", field
        yield from _fields(field, f"{path}{name}.")


def test_it_is_a_schema_without_references() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert "$ref" not in str(SCHEMA)
    assert "$defs" not in SCHEMA


def test_every_field_has_a_description_and_a_type() -> None:
    fields = dict(_fields(SCHEMA))
    assert fields["prompts.axes"]
    assert fields["runs.max_concurrent"]["minimum"] == 1
    assert not [name for name, field in fields.items() if not field.get("description") or "type" not in field]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"prompts": {"text": ["a mug", 1, 2.5]}},
        {"prompts": {"template": "{n} {{mugs}}", "axes": {"n": [1, "two"]}}},
        {"prompts": {"table": "{{ env.TABLE }}", "prompt_column": "caption", "id_column": None}},
        {"schedule": "0 3 * * *"},
        {"schedule": "@daily"},
        {"schedule": {"cron": "0 3 * * 1-5", "timezone": "Europe/Vienna"}},
        {"schedule": None},
        {"storage": {"path": "{{ env.OUT }}", "url": "{{ env.URL }}"}},
        {"storage": {"path": "s3://b/x", "url": "https://example.com"}},
        {"diffusion": {"height": None, "deterministic": None, "guidance_scale": 3}},
        {"assets": {"key_prefix": ["a", "b"], "owners": ["team:x"], "tags": {"a": "b"}, "group": "x"}},
        {"assets": {"tags": {"a": 1.1}, "key_prefix": [2024]}, "diffusion": {"revision": 1234567}},
        {"cost": {"per_gpu_hour": 2, "per_kwh": 0.3}, "runs": {"tags": {"queue": "gpu"}}},
    ],
)
def test_what_a_document_may_say_is_valid(changes: dict[str, Any]) -> None:
    assert faults(**changes) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sharing": {"tau": -1}}, ["sharing.tau: -1 is less than the minimum of 0"]),
        (
            {"sharing": {"linkage": "single"}},
            ["sharing.linkage: 'single' is not one of ['ward', 'average', 'centroid']"],
        ),
        ({"diffusion": {"steps": "forty"}}, ["diffusion.steps: 'forty' is not of type 'integer'"]),
        ({"diffusion": {"height": 4}}, ["diffusion.height: 4 is less than the minimum of 8"]),
        (
            {"sharing": {"tua": 1}},
            [
                "sharing: Additional properties are not allowed ('tua' was unexpected)",
                f"sharing: 'tua' is not one of {list(SharingSpec.model_fields)}",
            ],
        ),
        (
            {"prompts": {}},
            [
                "prompts: {} should not be valid under {'description': 'no prompts; give one of file, text, template "
                "with axes, or table', 'maxProperties': 0}"
            ],
        ),
        (
            {"prompts": {"file": "x.txt", "text": ["a mug"]}},
            [
                "prompts: 'text' should not be valid under {'description': 'a source beside file; keep one', "
                "'enum': ['text', 'template', 'table']}"
            ],
        ),
        ({"schedule": {"timezone": "UTC"}}, ["schedule: 'cron' is a required property"]),
        ({"schedule": 5}, ["schedule: 5 is not of type 'string', 'object', 'null'"]),
    ],
)
def test_a_fault_is_answered_with_what_to_write(changes: dict[str, Any], says: list[str]) -> None:
    assert faults(**changes) == says


def test_a_schedule_that_is_no_cron_expression_is_shown_one() -> None:
    (fault,) = faults(schedule="daily")
    assert fault.startswith("schedule: 'daily' does not match '^(@(hourly|daily|")


def test_dagsters_page_of_the_component_shows_a_document_that_is_valid() -> None:
    snap = get_package_entry_snap(EnvRegistryKey("hierflow", "ImageSet"), hierflow.ImageSet)
    ((page,),) = [entry["componentTypes"] for entry in json_for_all_components([snap])]
    document = yaml.safe_load(page["example"])
    assert document["type"] == "hierflow.ImageSet"
    assert hierflow.ImageSet(**document["attributes"]).name == "my_set"
    assert json.loads(page["schema"]) == document_schema(hierflow.ImageSet)
    assert "{{ env.NAME }}" in (page["description"] or "")
    assert page["tags"]
    assert set(page["produces"] or ()) == {"asset", "asset_check", "job", "schedule", "sensor"}


def test_a_derived_class_adds_its_own_fields() -> None:
    class Campaign(ImageSetSpec):
        budget: int | None = None

    assert document_schema(Campaign)["properties"]["budget"]["type"] == ["integer", "null"]
