"""The graph of a set on one page: every asset, what it is made from, and what Dagster should show of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import dagster as dg

from hierflow.assets.names import SET_TAG, SetNames
from hierflow.errors import without_password
from hierflow.spec import ImageSetSpec

CODE_VERSION = "1"
PLAN_ASSETS = ("prompt_set", "prompt_embeddings", "embedding_tree", "shared_latents")
SUBTREE_ASSETS = ("subtree_latents", "images", "quality_scores")
REPORT_ASSETS = ("image_set", "compute_audit")
QUALITY_ASSETS = ("quality_report",)

Translate = Callable[[dg.AssetSpec], dg.AssetSpec]


class _Asset(NamedTuple):
    deps: tuple[str, ...]
    kinds: tuple[str, ...]
    description: str
    partitioned: bool = False


_ASSETS = {
    "prompt_source": _Asset(
        (),
        (),
        "The prompts as their owner keeps them: a file, a table, or the document's text or template. Observed, "
        "never written.",
    ),
    "prompt_set": _Asset(
        ("prompt_source",),
        ("parquet",),
        "The expanded prompts: one row a prompt, an axis a column. Equal texts are generated once.",
    ),
    "prompt_embeddings": _Asset(
        ("prompt_set",),
        ("pytorch", "safetensors"),
        "What the text encoders and the prior make of every distinct prompt, kept by content: only new texts are "
        "encoded.",
    ),
    "embedding_tree": _Asset(
        ("prompt_embeddings",),
        ("scipy",),
        "The tree that similar prompts share their denoising steps along, and the plan that tau cuts it into.",
    ),
    "denoising_plan": _Asset(
        ("embedding_tree",),
        ("json",),
        "The slice of the plan that one partition executes. Written by `embedding_tree`; a partition goes stale "
        "only when its own slice changes.",
        partitioned=True,
    ),
    "shared_latents": _Asset(
        ("embedding_tree",),
        ("pytorch", "safetensors"),
        "The steps above the partition cut (the trunk), denoised once for all partitions. Editing prompts does not "
        "move its version.",
    ),
    "subtree_latents": _Asset(
        ("denoising_plan", "shared_latents"),
        ("pytorch", "safetensors"),
        "Final latents of the partition's prompts, and the states at which its subtrees split.",
        partitioned=True,
    ),
    "images": _Asset(
        ("subtree_latents",),
        ("png",),
        "A PNG an image, with its provenance embedded.",
        partitioned=True,
    ),
    "quality_scores": _Asset(
        ("images",),
        ("pytorch",),
        "How well each image matches its prompt.",
        partitioned=True,
    ),
    "image_set": _Asset(
        # The trunk too, or a run of all unpartitioned assets, which the UI offers, would begin here.
        ("quality_scores", "shared_latents"),
        ("parquet", "html"),
        "The manifest, a row an image, and the gallery. Follows even if partitions failed.",
    ),
    "compute_audit": _Asset(
        ("image_set",),
        ("json", "html"),
        "What the set cost and what sharing saved, counted by a hook on the network.",
    ),
    "quality_report": _Asset(
        # Not compute_audit, which it writes anew with what it has measured: that must never wait for quality.
        ("image_set",),
        ("json", "html"),
        "How good the images are beside standard ones, and which of them are blank or near duplicates.",
    ),
}


def asset_specs(spec: ImageSetSpec, translate: Translate) -> dict[str, dg.AssetSpec]:
    """The spec of every asset by its short name, in the order of the data, each passed through `translate`.

    A translation may change anything but the dependencies between the set's own assets, which follow its keys.
    """
    names, specs = SetNames(spec.name), dict[str, dg.AssetSpec]()
    partitions = dg.DynamicPartitionsDefinition(name=names.partitions)
    conditions = automation_conditions() if spec.runs.automation else {}
    for asset, about in _ASSETS.items():
        upstream: list[Any] = [specs[dep].key for dep in about.deps]
        if asset == "prompt_set":
            upstream += [dg.AssetKey.from_user_string(key) for key in spec.assets.deps]
        specs[asset] = translate(
            dg.AssetSpec(
                key=dg.AssetKey([*spec.assets.key_prefix, spec.name, asset]),
                deps=upstream,
                description="\n\n".join([about.description, *_place(asset, spec), _how_to_make(asset, names)]),
                group_name=spec.assets.group or spec.name,
                owners=spec.assets.owners,
                tags={SET_TAG: spec.name, **spec.assets.tags},
                kinds=set(about.kinds),
                code_version=None if asset == "prompt_source" else CODE_VERSION,
                partitions_def=partitions if about.partitioned else None,
                automation_condition=conditions.get(asset),
            )
        )
    return specs


def automation_conditions() -> dict[str, dg.AutomationCondition[Any]]:
    """Plan again whenever what is upstream of the prompts, or the prompts themselves, have changed.

    Only the plan is automated. Conditions fire on events, and a partition that was stale before is never asked for;
    so partitions and reports are left to the sensor, which looks at the store.
    """
    return {asset: dg.AutomationCondition.eager() for asset in PLAN_ASSETS}


def _place(asset: str, spec: ImageSetSpec) -> list[str]:
    """Where to look at a report, on the page of its asset."""
    pages = {"image_set": "gallery.html", "compute_audit": "audit.html", "quality_report": "quality.html"}
    if asset not in pages:
        return []
    folder = without_password(spec.storage.url or spec.storage.path).rstrip("/")
    page = f"{folder}/{spec.name}/{pages[asset]}"
    return [
        f"[{page}]({page})" if spec.storage.url else f"Look at `{page}` (storage.path is relative to the document)."
    ]


def _how_to_make(asset: str, names: SetNames) -> str:
    if asset == "prompt_source":
        return f"To make the set, launch the job `{names.plan_job}`."
    if asset in PLAN_ASSETS:
        return f"Made by the job `{names.plan_job}`; the sensor `{names.sensor}` does everything that follows."
    return (
        f"To make it on a new instance, launch the job `{names.plan_job}` (Jobs > {names.plan_job} > Materialize "
        "all); it plans the partitions, which do not exist before. The sensor "
        f"`{names.sensor}` then makes exactly what is missing, image_set, compute_audit and quality_report last. "
        'Until then the group\'s own "Materialize all" stays disabled.'
    )
