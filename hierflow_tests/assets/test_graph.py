"""The assets of a set, as a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    "image_set": {"quality_scores", "shared_latents"},
    "compute_audit": {"image_set"},
    "quality_report": {"image_set"},
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


def test_embeddings_tree_and_reports_are_checked(definitions: dg.Definitions) -> None:
    checks = definitions.resolve_asset_graph().asset_check_keys
    assert checks == {
        dg.AssetCheckKey(dg.AssetKey(["trial", "prompt_embeddings"]), "encoded"),
        dg.AssetCheckKey(dg.AssetKey(["trial", "embedding_tree"]), "regret"),
        dg.AssetCheckKey(dg.AssetKey(["trial", "embedding_tree"]), "drift"),
        dg.AssetCheckKey(dg.AssetKey(["trial", "image_set"]), "complete"),
        dg.AssetCheckKey(dg.AssetKey(["trial", "compute_audit"]), "books_balance"),
        *(
            dg.AssetCheckKey(dg.AssetKey(["trial", "quality_report"]), check)
            for check in ("quality_floor", "near_duplicates", "blank")
        ),
    }


def test_every_asset_says_what_it_is_and_which_job_makes_it(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for asset in PARENTS:
        node = graph.get(dg.AssetKey(["trial", asset]))
        assert "launch the job `trial`" in node.description or "by the job `trial`" in node.description
        assert node.group_name == "trial"
        assert node.tags["hierflow/set"] == "trial"


def test_a_set_appears_as_its_document_says() -> None:
    about = {
        "group": "shop/nightly",
        "key_prefix": ["shop", "pictures"],
        "owners": ["ana@example.com", "team:catalogue"],
        "tags": {"tier": "gold"},
        "deps": ["warehouse/products"],
    }
    graph = _built(assets=about).resolve_asset_graph()
    for asset in PARENTS:
        node = graph.get(dg.AssetKey(["shop", "pictures", "trial", asset]))
        assert node.group_name == "shop/nightly"
        assert set(node.owners) == {"ana@example.com", "team:catalogue"}
        assert node.tags["tier"] == "gold"
    prompts = graph.get(dg.AssetKey(["shop", "pictures", "trial", "prompt_set"]))
    assert dg.AssetKey(["warehouse", "products"]) in prompts.parent_keys


def test_a_translation_of_the_specs_may_move_every_key() -> None:
    def moved(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(key=["moved", *spec.key.path], group_name="elsewhere").merge_attributes(
            metadata={"cost_centre": 7}
        )

    definitions = build_image_set(_spec(), Path("/nowhere"), translate=moved)
    graph = definitions.resolve_asset_graph()
    found = {key: graph.get(key).parent_keys for key in graph.get_all_asset_keys()}
    assert found == {
        dg.AssetKey(["moved", "trial", asset]): {dg.AssetKey(["moved", "trial", parent]) for parent in parents}
        for asset, parents in PARENTS.items()
    }
    assert {graph.get(key).group_name for key in found} == {"elsewhere"}
    assert {graph.get(key).metadata["cost_centre"] for key in found} == {7}
    job = definitions.resolve_job_def("trial_finish")
    assert job.asset_layer.selected_asset_keys == {
        dg.AssetKey(["moved", "trial", "image_set"]),
        dg.AssetKey(["moved", "trial", "compute_audit"]),
    }


def test_runs_carry_the_tags_that_a_limit_can_be_put_on() -> None:
    definitions = _built(diffusion={"device": "cuda:1"}, runs={"tags": {"ecs/memory": "32768"}})
    for job, holds_a_gpu in (("trial", True), ("trial_subtrees", True), ("trial_finish", False)):
        tags = definitions.resolve_job_def(job).tags
        assert tags["ecs/memory"] == "32768"
        assert tags.get("hierflow/accelerator") == ("cuda:1" if holds_a_gpu else None)


def test_a_schedule_starts_the_job_of_the_set_and_is_on() -> None:
    (schedule,) = _built(schedule={"cron": "0 3 * * *", "timezone": "Europe/Vienna"}).schedules or ()
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert (schedule.job_name, schedule.cron_schedule) == ("trial", "0 3 * * *")
    assert schedule.execution_timezone == "Europe/Vienna"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert not _built().schedules


@pytest.mark.parametrize(
    ("runs", "watches"), [({}, "STOPPED"), ({"on_change": True}, "RUNNING"), ({"automation": True}, "RUNNING")]
)
def test_the_sensor_that_continues_is_on_and_the_one_that_watches_is_asked_for(
    runs: dict[str, Any], watches: str
) -> None:
    sensors = {sensor.name: sensor for sensor in _built(runs=runs).sensors or ()}
    assert sensors["trial_continue"].default_status == dg.DefaultSensorStatus.RUNNING
    assert sensors["trial_prompts"].default_status == dg.DefaultSensorStatus(watches)
    assert ("trial_automation" in sensors) == ("automation" in runs)


def test_two_sets_live_in_one_code_location() -> None:
    dg.Definitions.validate_loadable(dg.Definitions.merge(_built(name="one"), _built(name="two")))


def _spec(**changes: Any) -> ImageSetSpec:
    return ImageSetSpec.model_validate(attributes(**changes))


def _built(**changes: Any) -> dg.Definitions:
    return build_image_set(_spec(**changes), Path("/nowhere"), Path("/nowhere/set.yaml"))
