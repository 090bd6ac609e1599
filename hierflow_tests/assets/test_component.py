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
            assert len(keys) == 11


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"diffusion": {"stesp": 3}}, "stesp"),
        ({"sharing": {"tau": -1.0}}, "tau"),
        ({"shering": {}}, "shering"),
        ({"name": "../x"}, "name"),
    ],
)
def test_a_fault_in_yaml_is_refused_with_its_file_line_and_field(changes: dict[str, Any], says: str) -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(component_cls=hierflow.ImageSet, defs_yaml_contents=_contents(**changes))
        text = (path / "defs.yaml").read_text("utf-8").splitlines()
        line = next(number for number, written in enumerate(text, start=1) if f"{says}:" in written)
        with pytest.raises(ComponentTreeException) as refused, sandbox.load_component_and_build_defs(defs_path=path):
            pass
        assert re.search(rf"{says} at .*defs\.yaml:{line}`", str(refused.value.__cause__))


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
