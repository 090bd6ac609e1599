"""From a spec to Dagster definitions."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from hierflow.assets.names import SET_TAG, SetNames
from hierflow.assets.plan_assets import plan_assets, prompt_source
from hierflow.assets.report_assets import report_assets
from hierflow.assets.served_set import ServedSet
from hierflow.assets.subtree_assets import ASSETS, subtree_assets
from hierflow.spec import ImageSetSpec


def build_image_set(spec: ImageSetSpec, base: Path, document: Path | None = None) -> dg.Definitions:
    """The assets, checks and jobs of one image set.

    Args:
        spec: the set.
        base: the folder that relative paths of the spec are relative to.
        document: the file that describes the set, if one does.
    """
    served, names = ServedSet(spec, base, document), SetNames(spec.name)
    plan, subtree, report = plan_assets(served), subtree_assets(served), report_assets(served)
    jobs = {
        names.plan_job: ("prompt_set", "prompt_embeddings", "embedding_tree", "shared_latents"),
        names.subtree_job: ASSETS,
        names.finish_job: ("image_set", "compute_audit"),
    }
    return dg.Definitions(
        assets=[prompt_source(served), *plan, *subtree, *report],
        jobs=[
            dg.define_asset_job(
                name,
                selection=dg.AssetSelection.assets(*(names.key(asset) for asset in assets)),
                executor_def=dg.in_process_executor,  # the model loads once a process
                tags={SET_TAG: spec.name},
            )
            for name, assets in jobs.items()
        ],
    )
