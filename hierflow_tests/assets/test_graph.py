"""The assets of a set, as a graph."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from hierflow.assets.build import build_image_set
from hierflow.spec import ImageSetSpec
from hierflow_tests.image_sets import attributes

PARENTS = {
    "prompt_source": set(),
    "prompt_set": {"prompt_source"},
    "prompt_embeddings": {"prompt_set"},
    "embedding_tree": {"prompt_embeddings"},
    "denoising_plan": {"embedding_tree"},
    "shared_latents": {"embedding_tree"},
    "subtree_latents": {"denoising_plan", "shared_latents"},
    "images": {"subtree_latents"},
    "quality_scores": {"images"},
    "image_set": {"images", "quality_scores"},
    "compute_audit": {"image_set", "subtree_latents", "shared_latents"},
}
PARTITIONED = {"denoising_plan", "subtree_latents", "images", "quality_scores"}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_image_set(ImageSetSpec.model_validate(attributes()), Path("/nowhere"), Path("/nowhere/set.yaml"))


def test_the_assets_follow_the_way_of_the_data(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found = {key: graph.get(key).parent_keys for key in graph.get_all_asset_keys()}
    assert found == {
        dg.AssetKey(["trial", asset]): {dg.AssetKey(["trial", parent]) for parent in parents}
        for asset, parents in PARENTS.items()
    }


def test_gpu_assets_are_partitioned_by_subtree(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for asset in PARENTS:
        partitions = graph.get(dg.AssetKey(["trial", asset])).partitions_def
        if asset in PARTITIONED:
            assert isinstance(partitions, dg.DynamicPartitionsDefinition)
            assert partitions.name == "trial_subtrees"
        else:
            assert partitions is None


def test_latents_images_and_scores_come_from_one_op(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    keys = {dg.AssetKey(["trial", asset]) for asset in ("subtree_latents", "images", "quality_scores")}
    owners = {id(graph.assets_def_for_key(key)) for key in keys}
    assert len(owners) == 1
    assert graph.assets_def_for_key(next(iter(keys))).backfill_policy == dg.BackfillPolicy.multi_run(1)


def test_the_reports_are_checked(definitions: dg.Definitions) -> None:
    checks = definitions.resolve_asset_graph().asset_check_keys
    assert checks == {
        dg.AssetCheckKey(dg.AssetKey(["trial", "image_set"]), "complete"),
        dg.AssetCheckKey(dg.AssetKey(["trial", "compute_audit"]), "books_balance"),
    }


def test_every_asset_says_what_it_is_and_whose(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for asset in PARENTS:
        node = graph.get(dg.AssetKey(["trial", asset]))
        assert node.description, asset
        assert node.group_name == "trial"


def test_two_sets_live_in_one_code_location() -> None:
    sets = [
        build_image_set(ImageSetSpec.model_validate(attributes(name=name)), Path("/nowhere"))
        for name in ("one", "two")
    ]
    dg.Definitions.validate_loadable(dg.Definitions.merge(*sets))
