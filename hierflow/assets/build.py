"""From a spec to Dagster definitions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg

from hierflow.assets.graph import PLAN_ASSETS, QUALITY_ASSETS, REPORT_ASSETS, SUBTREE_ASSETS, Translate
from hierflow.assets.names import ACCELERATOR_TAG, SCORING_TAG, SET_TAG
from hierflow.assets.plan_assets import plan_assets, prompt_source
from hierflow.assets.quality_asset import quality_asset
from hierflow.assets.report_assets import report_assets
from hierflow.assets.sensors import continue_sensor, prompts_sensor
from hierflow.assets.served_set import ServedSet
from hierflow.assets.subtree_assets import subtree_assets
from hierflow.spec import ImageSetSpec
from hierflow.spec.running import JobName


def build_image_set(
    spec: ImageSetSpec, base: Path, document: Path | None = None, translate: Translate = lambda spec: spec
) -> dg.Definitions:
    """The assets, checks, jobs, sensors and schedule of one image set.

    Args:
        spec: the set.
        base: the folder that relative paths of the spec are relative to.
        document: the file that describes the set, if one does.
        translate: what to make of every asset's spec.
    """
    return definitions_of(ServedSet(spec, base, document, translate))


def definitions_of(served: ServedSet) -> dg.Definitions:
    """The assets, checks, jobs, sensors and schedule of a set."""
    plan, *after = _jobs(served)
    return dg.Definitions(
        assets=[
            prompt_source(served),
            *plan_assets(served),
            *subtree_assets(served),
            *report_assets(served),
            quality_asset(served),
        ],
        jobs=[plan, *after],
        sensors=[continue_sensor(served, after), prompts_sensor(served), *_automation(served)],
        schedules=_schedules(served),
    )


def _jobs(served: ServedSet) -> list[Any]:
    """The jobs of the plan, of a partition, of the reports, and of quality."""
    names, device = served.names, {ACCELERATOR_TAG: served.spec.diffusion.device}
    jobs: dict[str, tuple[tuple[str, ...], JobName, dict[str, str], str]] = {
        names.plan_job: (
            PLAN_ASSETS,
            "plan",
            device,
            f"Make the set {served.spec.name}: prompts, embeddings, tree, plan, and the steps above the partition "
            f"cut. The sensor {names.sensor} does the rest.",
        ),
        names.subtree_job: (SUBTREE_ASSETS, "subtrees", device, "Latents, images and scores of one partition."),
        names.finish_job: (REPORT_ASSETS, "finish", {}, "Manifest, gallery and audit of the set as it stands."),
        names.quality_job: (
            QUALITY_ASSETS,
            "quality",
            {**device, SCORING_TAG: served.scoring_digest},
            "The quality of the set as it stands, baselines included.",
        ),
    }
    return [
        dg.define_asset_job(
            name,
            selection=dg.AssetSelection.assets(*(served.key(asset) for asset in assets)),
            executor_def=dg.in_process_executor,  # the model loads once a process
            description=description,
            tags={
                **served.spec.runs.tags.of(job),
                SET_TAG: served.spec.name,
                **served.document_tags,
                **tags,
            },
        )
        for name, (assets, job, tags, description) in jobs.items()
    ]


def _schedules(served: ServedSet) -> list[dg.ScheduleDefinition]:
    schedule = served.spec.schedule
    if schedule is None:
        return []
    return [
        dg.ScheduleDefinition(
            name=served.names.schedule,
            job_name=served.names.plan_job,
            cron_schedule=schedule.cron,
            execution_timezone=schedule.timezone,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=f"Makes the set {served.spec.name}; what has not changed is not made again.",
        )
    ]


def _automation(served: ServedSet) -> list[dg.AutomationConditionSensorDefinition]:
    if not served.spec.runs.automation:
        return []
    tags = {
        SET_TAG: served.spec.name,
        **served.document_tags,
        ACCELERATOR_TAG: served.spec.diffusion.device,
    }
    return [
        dg.AutomationConditionSensorDefinition(
            f"{served.spec.name}_automation",
            target=dg.AssetSelection.assets(*(served.key(asset) for asset in ("prompt_source", *PLAN_ASSETS))),
            default_status=dg.DefaultSensorStatus.RUNNING,
            run_tags={**served.spec.runs.tags.of("plan"), **tags},
        )
    ]
