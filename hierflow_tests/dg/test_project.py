"""The first five minutes: `dg` finds the component, scaffolds a set, checks it, lists it and launches it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from hierflow_tests.dg.projects import Project
from hierflow_tests.image_sets import Ended

SUBCLASS = """\
import dagster as dg
import hierflow


class StudioSet(hierflow.ImageSet):
    \"\"\"A set of the studio's.\"\"\"

    def get_asset_spec(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        return super().get_asset_spec(spec).merge_attributes(owners=["team:studio"])
"""
ASSETS = {
    "prompt_source",
    "prompt_set",
    "prompt_embeddings",
    "embedding_tree",
    "denoising_plan",
    "shared_latents",
    "subtree_latents",
    "images",
    "quality_scores",
    "image_set",
    "compute_audit",
    "quality_report",
}


def _edited(project: Project, old: str, new: str) -> Path:
    document = project.defs / "my_set" / "defs.yaml"
    text = document.read_text("utf-8")
    assert old in text
    document.write_text(text.replace(old, new, 1), "utf-8")
    return document


def _line(document: Path, text: str) -> int:
    return next(n for n, line in enumerate(document.read_text("utf-8").splitlines(), start=1) if text in line)


def test_the_component_is_listed_with_what_it_is(project: Project) -> None:
    ended = project.dg("list", "components", "--package", "hierflow", "--json")
    assert ended.code == 0, ended.stderr
    (listed,) = json.loads(ended.stdout)["items"]
    assert listed["key"] == "hierflow.ImageSet"
    assert listed["summary"] == "A set of images, generated from prompts by a diffusion model."


def test_what_was_scaffolded_is_checked_and_loads(project: Project) -> None:
    ended = project.dg("check", "defs")  # which checks the YAML first
    assert ended.code == 0, ended.stdout + ended.stderr
    assert "All component YAML validated successfully." in ended.stdout
    assert "All definitions loaded successfully." in ended.stdout


def test_everything_of_a_set_is_listed(project: Project) -> None:
    _edited(project, '# schedule: "0 3 * * *"', 'schedule: "0 3 * * *"')
    listed = project.definitions()
    assert {asset["asset_key"] for asset in listed["assets"]} == {f"my_set/{name}" for name in ASSETS}
    assert {asset["group_name"] for asset in listed["assets"]} == {"my_set"}
    assert {job["name"] for job in listed["jobs"]} == {
        "my_set",
        "my_set_subtrees",
        "my_set_finish",
        "my_set_quality",
    }
    assert "my_set_continue" in {sensor["name"] for sensor in listed["sensors"]}
    (schedule,) = listed["schedules"]
    assert schedule["cron_schedule"] == "0 3 * * *"


@pytest.mark.parametrize(
    ("old", "new", "field", "remedy"),
    [
        ("tau: 0.6", "tau: -1", "attributes.sharing.tau", "-1 is less than the minimum of 0"),
        (
            "tau: 0.6",
            "tua: 0.6",
            "attributes.sharing.tua",
            "'tua' is not one of ['tau', 'budget', ",
        ),
    ],
)
def test_check_yaml_names_line_field_and_remedy(
    project: Project, old: str, new: str, field: str, remedy: str
) -> None:
    document = _edited(project, old, new)
    ended = project.dg("check", "yaml")
    assert ended.code == 1
    assert f"{document}:{_line(document, new)} - hierflow.ImageSet {field} " in ended.stdout
    assert remedy in ended.stdout


def test_a_wrong_document_among_several_is_found_in_its_folder_and_by_check_defs(project: Project) -> None:
    """`dg check yaml` without a folder looks at one document a type, which need not be the wrong one."""
    document = _edited(project, "tau: 0.6", "tua: 0.6")
    good = project.defs / "other"
    good.mkdir()
    attributes = {"name": "other", "prompts": {"text": ["a red mug", "a blue mug"]}}
    (good / "defs.yaml").write_text(yaml.safe_dump({"type": "hierflow.ImageSet", "attributes": attributes}), "utf-8")
    ended = project.dg("check", "yaml", str(document.parent))
    assert ended.code == 1
    assert f"{document}:{_line(document, 'tua')} - hierflow.ImageSet attributes.sharing.tua " in ended.stdout
    ended = project.dg("check", "defs")
    assert ended.code == 1
    assert f"{document}:{_line(document, 'tua')}" in ended.stdout + ended.stderr
    assert "sharing.tua" in ended.stdout + ended.stderr


def test_check_defs_says_in_one_sentence_what_no_schema_can(project: Project) -> None:
    document = _edited(project, '# schedule: "0 3 * * *"', 'schedule: "0 25 * * *"')
    ended = project.dg("check", "defs")
    assert ended.code == 1
    said = ended.stdout + ended.stderr
    line = _line(document, 'schedule: "0 25')
    assert f"InputError: {document}:{line}: schedule.cron: '0 25 * * *' is not a cron expression; " in said
    assert "ValidationError" not in said


def test_sets_of_one_project_keep_apart(project: Project) -> None:
    attributes = {
        "name": "spring",
        "prompts": {"text": ["a red mug", "a blue mug"]},
        "assets": {"group": "ads", "key_prefix": ["studio"], "owners": ["team:ads"], "tags": {"campaign": "spring"}},
    }
    contents = {"type": "my_project.components.studio_set.StudioSet", "attributes": attributes}
    (project.defs / "ads" / "spring").mkdir(parents=True)
    (project.defs / "ads" / "spring" / "defs.yaml").write_text(yaml.safe_dump(contents), "utf-8")
    components = project.defs.parent / "components"
    components.mkdir(exist_ok=True)
    (components / "__init__.py").touch()
    (components / "studio_set.py").write_text(SUBCLASS, "utf-8")

    listed = project.definitions()
    assets = {asset["asset_key"]: asset for asset in listed["assets"]}
    assert set(assets) == {f"{prefix}/{name}" for prefix in ("my_set", "studio/spring") for name in ASSETS}
    ours, theirs = assets["my_set/images"], assets["studio/spring/images"]
    assert (ours["group_name"], theirs["group_name"]) == ("my_set", "ads")
    assert ours["owners"] == []
    assert sorted(owner["team"] for owner in theirs["owners"]) == ["ads", "studio"]
    assert {"key": "campaign", "value": "spring"} in theirs["tags"]
    assert {"my_set", "spring"} <= {job["name"] for job in listed["jobs"]}


def sources(project: Project) -> list[Path]:
    """The project's files; what Python caches beside them depends on who has been imported yet."""
    return sorted(path for path in project.root.joinpath("src").rglob("*.*") if "__pycache__" not in path.parts)


def launched_and_run(project: Project) -> Ended:
    """`dg launch` and `hierflow run` of the scaffolded set; returns how the latter ended."""
    launched = project.dg("launch", "--job", "my_set")  # prompts to plan and trunk
    assert launched.code == 0, launched.stderr[-2000:]
    ran = project.call("hierflow", "run", str(project.defs / "my_set" / "defs.yaml"), "--json")  # the rest
    assert ran.code == 0, ran.stderr[-2000:]
    assert (ran.json["images"], ran.json["complete"]) == (12, True)
    assert len(list((project.root / "image_sets" / "my_set" / "images").rglob("*.png"))) == 12
    return ran


def test_a_scaffolded_set_runs(project: Project) -> None:
    _edited(project, "steps: 40", "steps: 4")
    before = sources(project)
    launched_and_run(project)
    assert sources(project) == before


@pytest.mark.slow
def test_a_scaffolded_set_runs_unedited(project: Project) -> None:
    before = sources(project)
    assert launched_and_run(project).json["saved"] > 0.3
    again = project.dg("launch", "--assets", 'key:"my_set/prompt_set"')
    assert again.code == 0, again.stderr[-2000:]
    assert sources(project) == before
