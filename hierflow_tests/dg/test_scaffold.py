"""`dg scaffold defs hierflow.ImageSet NAME` writes what runs unedited and teaches the rest."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
from dagster.components.component_scaffolding import scaffold_object

from hierflow.assets.scaffold import PROMPTS, set_name
from hierflow.document import load_document
from hierflow.models.vocabulary import mini_warnings
from hierflow.prompts import load_prompts
from hierflow.spec import NAME_PATTERN

COMPONENT = "hierflow.ImageSet"


def scaffolded(root: Path, name: str = "my_set", format_: str = "yaml", **params: str) -> Path:
    """The folder that `dg scaffold defs` writes in a project at `root`."""
    folder = root / "src" / "my_project" / "defs" / name
    scaffold_object(folder, COMPONENT, json.dumps(params) if params else None, format_, root)
    return folder


def test_the_document_loads_as_it_is(tmp_path: Path) -> None:
    folder = scaffolded(tmp_path)
    assert {path.name for path in folder.iterdir()} == {"defs.yaml", "prompts.txt"}
    spec = load_document(folder / "defs.yaml")
    assert (spec.name, spec.diffusion.model, spec.prompts.file) == ("my_set", "mini", "prompts.txt")
    assert 0 < spec.sharing.tau < 1
    assert len(load_prompts(spec.prompts, folder)) == 12


def test_the_embedded_model_has_seen_every_word_of_the_prompts() -> None:
    assert mini_warnings(PROMPTS.splitlines()) == []


def test_images_lie_outside_the_package(tmp_path: Path) -> None:
    for name in ("my_set", "ads/spring/my_set"):
        folder = scaffolded(tmp_path, name)
        spec = load_document(folder / "defs.yaml")
        assert (folder / spec.storage.path).resolve() == tmp_path / "image_sets"


def test_every_section_that_is_commented_out_can_be_put_in(tmp_path: Path) -> None:
    document = scaffolded(tmp_path) / "defs.yaml"
    lines = document.read_text("utf-8").splitlines()
    assert max(map(len, lines)) <= 118
    path = next(n for n, line in enumerate(lines) if "# path:" in line)  # the other way to say the line above
    kept = [re.sub(r"^  # (\s*\w+:)", r"  \1", line) for n, line in enumerate(lines) if n != path]
    document.write_text("\n".join(kept), "utf-8")
    spec = load_document(document)
    assert spec.schedule is not None
    assert spec.schedule.cron == "0 3 * * *"
    assert spec.cost.per_gpu_hour == 2.5
    assert (spec.runs.max_concurrent, spec.runs.retries) == (1, 1)
    assert (spec.assets.key_prefix, spec.assets.owners) == (("studio",), ("team:studio",))
    assert spec.assets.tags == {"campaign": "spring"}


def test_a_variable_can_be_put_in_for_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_SETS", "s3://pictures")
    document = scaffolded(tmp_path) / "defs.yaml"
    text = re.sub(r"\n    path: .*\n    # path:", "\n    path:", document.read_text("utf-8"))
    document.write_text(text, "utf-8")
    assert load_document(document).storage.path == "s3://pictures"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("my_set", "my_set"),
        ("Spring-2027 ads!", "Spring_2027_ads"),
        ("2027", "set_2027"),
        ("_x_", "x"),
        ("été", "t"),
        ("日本", "set"),
        ("x" * 99, "x" * 64),
    ],
)
def test_a_folder_becomes_a_name(folder: str, name: str) -> None:
    assert set_name(folder) == name
    assert re.fullmatch(NAME_PATTERN, name)


@pytest.mark.parametrize(
    ("file", "content", "kind", "copied"),
    [
        ("mine.txt", "a red mug\na blue mug\n", "file", "prompts.txt"),
        ("mine.CSV", "prompt,sku\na red mug,1\na blue mug,2\n", "table", "prompts.csv"),
    ],
)
def test_prompts_of_ones_own_are_copied(tmp_path: Path, file: str, content: str, kind: str, copied: str) -> None:
    (tmp_path / file).write_text(content, "utf-8")
    folder = scaffolded(tmp_path, prompts=str(tmp_path / file), model="../a model: #1")
    spec = load_document(folder / "defs.yaml")
    assert getattr(spec.prompts, kind) == copied
    assert spec.diffusion.model == "../a model: #1"
    assert (folder / copied).read_text("utf-8") == content
    assert load_prompts(spec.prompts, folder).texts == ("a red mug", "a blue mug")


def test_prompts_that_are_not_there_are_refused_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match=r"--prompts: 'gone\.txt' is not a file; give a file"):
        scaffolded(tmp_path, prompts="gone.txt")
    assert not list(tmp_path.iterdir())


def test_a_python_module_describes_the_same_set(tmp_path: Path) -> None:
    document = load_document(scaffolded(tmp_path) / "defs.yaml")
    folder = scaffolded(tmp_path, "in_python", "python")
    assert {path.name for path in folder.iterdir()} == {"component.py", "prompts.txt"}
    module: dict[str, object] = {}
    exec((folder / "component.py").read_text("utf-8"), module)
    load = module["load"]
    assert callable(load)
    made = load(None)
    assert made.name == "in_python"
    assert made.model_dump(exclude={"name"}) == document.model_dump(exclude={"name"})
