"""`hierflow.ImageSet` in a Dagster project: found in the registry, loaded from YAML, refused with its line."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from typing import Any

import dagster as dg
import pytest
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.testing import create_defs_folder_sandbox

import hierflow
from hierflow.store import SetStore
from hierflow_tests.image_sets import attributes

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")


def _contents(**changes: Any) -> dict[str, Any]:
    return {"type": "hierflow.ImageSet", "attributes": attributes(**changes)}


def test_a_document_is_a_component() -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(component_cls=hierflow.ImageSet, defs_yaml_contents=_contents())
        with sandbox.load_component_and_build_defs(defs_path=path) as (component, definitions):
            assert isinstance(component, hierflow.ImageSet)
            assert component.diffusion.steps == 4
            assert component.sharing.linkage == "ward"
            keys = definitions.resolve_asset_graph().get_all_asset_keys()
            assert dg.AssetKey(["trial", "images"]) in keys
            assert len(keys) == 12


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"diffusion": {"stesp": 3}}, "diffusion.stesp", "is not a field; did you mean steps."),
        ({"sharing": {"tau": -1.0}}, "sharing.tau", "-1.0 is not at least 0; the height up to which"),
        ({"shering": {}}, "shering", "is not a field; did you mean sharing."),
        ({"name": "../x"}, "name", "'../x' is not a name: a letter first"),
        ({"schedule": "0 25 * * *"}, "schedule", "'0 25 * * *' is not a cron expression"),
        ({"prompts": {"text": ["a mug"], "file": "x"}}, "prompts", "'file, text' are several sources at once"),
        ({"storage": {"path": "{{ env.HIERFLOW_UNSET }}"}}, "storage.path", "HIERFLOW_UNSET, which is not set; set"),
    ],
)
def test_a_fault_is_one_sentence_with_its_file_line_and_field(changes: dict[str, Any], field: str, says: str) -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(component_cls=hierflow.ImageSet, defs_yaml_contents=_contents(**changes))
        text = (path / "defs.yaml").read_text("utf-8").splitlines()
        key = field.rpartition(".")[2]
        line = next(n for n, written in enumerate(text, start=1) if written.strip().startswith(f"{key}:"))
        with pytest.raises(ComponentTreeException) as refused, sandbox.load_component_and_build_defs(defs_path=path):
            pass
        cause = refused.value.__cause__
        assert isinstance(cause, hierflow.InputError)
        assert str(cause).startswith(f"{path}/defs.yaml:{line}: {field}")
        assert says in str(cause)
        assert cause.__cause__ is None  # which Dagster would print after it


@pytest.mark.parametrize("place", [0, 1])
def test_a_fault_is_placed_in_its_document_of_a_file_of_two(place: int) -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(component_cls=hierflow.ImageSet, defs_yaml_contents=_contents())
        document = (path / "defs.yaml").read_text("utf-8")
        documents = [document, document.replace("trial", "other")]
        documents[place] = documents[place].replace("tau: 1.5", "tau: -1")
        text = "---\n".join(documents)
        (path / "defs.yaml").write_text(text, "utf-8")
        line = next(n for n, written in enumerate(text.splitlines(), start=1) if "tau: -1" in written)
        with pytest.raises(ComponentTreeException) as refused, sandbox.build_all_defs():
            pass
        assert f"defs.yaml:{line}: sharing.tau: -1 is not" in str(refused.value.__cause__)


@pytest.mark.parametrize("written", ["type: hierflow.ImageSet\n", "type: hierflow.ImageSet\nattributes: {}\n"])
def test_a_document_without_attributes_is_asked_for_a_name(written: str) -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(component_cls=hierflow.ImageSet, defs_yaml_contents=_contents())
        (path / "defs.yaml").write_text(written, "utf-8")
        with pytest.raises(ComponentTreeException) as refused, sandbox.load_component_and_build_defs(defs_path=path):
            pass
        assert re.search(r"defs\.yaml:\d: name: is missing; names the set", str(refused.value.__cause__))


def test_variables_are_read_and_their_requirements_may_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIERFLOW_SETS", "s3://pictures")
    contents = {
        **_contents(storage={"path": "{{ env.HIERFLOW_SETS }}/sets"}),
        "requirements": {"env": ["HIERFLOW_SETS"]},
    }
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(component_cls=hierflow.ImageSet, defs_yaml_contents=contents)
        with sandbox.load_component_and_build_defs(defs_path=path) as (component, _):
            assert isinstance(component, hierflow.ImageSet)
            assert component.storage.path == "s3://pictures/sets"


class StudioSet(hierflow.ImageSet):
    """A set of the studio's."""

    def get_asset_spec(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        spec = super().get_asset_spec(spec)
        if spec.key.path[-1] == "images":
            spec = spec.replace_attributes(description="What the studio ordered.")
        return spec.merge_attributes(owners=["team:studio"], tags={"studio": "yes"})


def test_a_derived_class_says_what_dagster_sees() -> None:
    with create_defs_folder_sandbox() as sandbox:
        contents = {**_contents(), "type": f"{__name__}.StudioSet"}
        path = sandbox.scaffold_component(component_cls=StudioSet, defs_yaml_contents=contents)
        with sandbox.load_component_and_build_defs(defs_path=path) as (component, definitions):
            assert type(component) is StudioSet
            graph = definitions.resolve_asset_graph()
            keys = graph.get_all_asset_keys()
            assert len(keys) == 12
            for key in keys:
                assert "team:studio" in graph.get(key).owners
                assert graph.get(key).tags["studio"] == "yes"
            assert graph.get(dg.AssetKey(["trial", "images"])).description == "What the studio ordered."
            assert graph.get(dg.AssetKey(["trial", "image_set"])).description != "What the studio ordered."


def test_a_set_can_be_described_in_python() -> None:
    made = hierflow.ImageSet(**attributes())
    definitions = dg.build_defs_for_component(made)
    assert dg.AssetKey(["trial", "images"]) in definitions.resolve_asset_graph().get_all_asset_keys()


def test_paths_are_relative_to_the_document_and_braces_are_the_prompts_own() -> None:
    source = {"template": "a {color} {{mug}}", "axes": {"color": ["red", 1]}}
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=hierflow.ImageSet, defs_yaml_contents=_contents(prompts=source)
        )
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, definitions):
            graph = definitions.resolve_asset_graph()
            prompt_set = graph.assets_def_for_key(dg.AssetKey(["trial", "prompt_set"]))
            assert dg.materialize([prompt_set], instance=dg.DagsterInstance.ephemeral()).success
        store = SetStore(str(path / "out"), "trial", path / "defs.yaml")
        assert store.prompts.current().texts == ("a red {mug}", "a 1 {mug}")
        store.check_owner()  # made in the name of the document


def test_dagster_finds_the_component_in_its_registry() -> None:
    from dagster.components.core.package_entry import discover_entry_point_package_objects

    (entry,) = [e for e in entry_points(group="dagster_dg_cli.registry_modules") if e.name == "hierflow"]
    assert entry.load() is hierflow
    found = {key.to_typename(): thing for key, thing in discover_entry_point_package_objects().items()}
    assert found["hierflow.ImageSet"] is hierflow.ImageSet
