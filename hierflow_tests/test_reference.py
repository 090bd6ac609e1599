"""The YAML reference is made from the spec, and its example is a document that sets every field."""

from __future__ import annotations

from pathlib import Path

import yaml

from hierflow.assets.schema import document_schema
from hierflow.document import load_document
from hierflow.reference import EXAMPLE, reference
from hierflow.spec import ImageSetSpec

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"
FIELDS = {
    name: set(field.get("properties", ())) for name, field in document_schema(ImageSetSpec)["properties"].items()
}


def test_the_page_is_what_the_spec_says() -> None:
    assert PAGE.read_text("utf-8") == reference(), (
        "docs/reference.md is out of date: run `python -m hierflow.reference > docs/reference.md`"
    )


def test_every_field_stands_in_the_page_with_its_description() -> None:
    lines = reference().splitlines()
    for name, section in document_schema(ImageSetSpec)["properties"].items():
        fields = section.get("properties", {name: section})
        for field, about in fields.items():
            (line,) = [line for line in lines if line.startswith(f"| `{field}` |") and about["description"] in line]
            assert "None" not in line


def test_the_example_is_a_document_that_sets_every_field(tmp_path: Path) -> None:
    (tmp_path / "defs.yaml").write_text(EXAMPLE, "utf-8")
    assert load_document(tmp_path / "defs.yaml").name == "spring_ads"
    given = yaml.safe_load(EXAMPLE)["attributes"]
    assert given.keys() == FIELDS.keys()
    for section in FIELDS.keys() - {"name", "prompts"}:
        assert given[section].keys() == FIELDS[section] - {"budget", "quality"}  # which stand in place of tau
