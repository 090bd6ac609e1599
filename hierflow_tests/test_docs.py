"""The pages keep to what there is: links, documents, commands, fields and Python code in README.md and docs/."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hierflow.assets.schema import document_schema
from hierflow.cli import main
from hierflow.document import load_document
from hierflow.spec import ImageSetSpec

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SECTIONS = document_schema(ImageSetSpec)["properties"]
DAGSTER = {"concurrency", "run_monitoring"}
"""Keys of `dagster.yaml`; `storage` is one too, and a section of a document."""

_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!\\)\[[^\]\[]*\]\(\s*([^)\s]+)\s*\)")
_CODE = re.compile(r"`([^`\n]+)`")
_FILES = {"txt", "csv", "parquet", "json", "html", "yaml", "md", "py"}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name if page.parent == ROOT else page.stem)


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text("utf-8"))


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of these languages."""
    return [text for language, text in _BLOCK.findall(page.read_text("utf-8")) if language in languages]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+?) *$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = [link for link in _LINK.findall(_CODE.sub("", prose(page))) if not re.match(r"[a-z]+://", link)]
    for link in targets:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}, which is not there"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {link}, which has no such heading"


@every_page
def test_every_yaml_block_is_valid(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_SETS", "sets")
    for text in blocks(page, "yaml"):
        given: dict[str, Any] = yaml.safe_load(text)
        if given.keys() <= DAGSTER or "postgres" in given.get("storage", {}):
            continue
        if "type" not in given:  # some sections of a document
            sections = {"name": "part", "prompts": {"text": ["a red mug"]}, **given}
            given = {"type": "hierflow.ImageSet", "attributes": sections}
            text = yaml.safe_dump(given)
        (tmp_path / "defs.yaml").write_text(text, "utf-8")
        assert load_document(tmp_path / "defs.yaml").name == given["attributes"]["name"]


@every_page
def test_every_command_is_there(page: Path) -> None:
    code = [*_CODE.findall(prose(page)), *"\n".join(blocks(page, "sh")).splitlines()]
    for line in code:
        for command, rest in re.findall(r"^hierflow ([a-z]+)(.*)", line):
            assert command in main.commands, f"{page.name}: {line}"
            options = {name for option in main.commands[command].params for name in option.opts}
            assert set(re.findall(r"--[a-z]+", rest.partition("#")[0])) <= options, f"{page.name}: {line}"
        for target in re.findall(r"^make ([a-z-]+)", line):
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE), line


@every_page
def test_every_field_is_there(page: Path) -> None:
    for code in _CODE.findall(prose(page)):
        match = re.fullmatch(r"(\w+)\.(\w+)(:.*)?", code)
        if match and match[1] in SECTIONS and match[2] not in _FILES:
            assert match[2] in SECTIONS[match[1]].get("properties", ()), f"{page.name} speaks of `{code}`"


@every_page
def test_every_python_block_is_python(page: Path) -> None:
    for text in blocks(page, "python"):
        compile(text, page.name, "exec")
