"""The whole way without Dagster: prompts in, images out."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierflow.audit.account import Audit
from hierflow.errors import InputError, RunError
from hierflow.progress import OpenProgress, Silent, to_stderr
from hierflow.prompts import load_prompts
from hierflow.spec import ImageSetSpec
from hierflow.stages.context import Stage
from hierflow.stages.embedding.advice import advice
from hierflow.stages.embedding.embeddings import embed
from hierflow.stages.keeping.retention import retain
from hierflow.stages.making.images import make_partition
from hierflow.stages.making.latents import denoise_trunk
from hierflow.stages.making.todo import todo
from hierflow.stages.overview.preflight import check_memory
from hierflow.stages.planning.make_plan import adopt, make_plan
from hierflow.stages.reports.auditing import write_audit
from hierflow.stages.reports.image_set import assemble

if TYPE_CHECKING:
    import pyarrow as pa
    from PIL.Image import Image

    from hierflow.plan.segments import Plan


@dataclass(frozen=True)
class Generation:
    """What :func:`generate` made.

    Attributes:
        images: one for every prompt and image index, in the order of the prompts.
        plan: the plan that was executed; `plan.evaluations`, `plan.standard_evaluations`, `plan.saved`.
        evaluations: denoiser evaluations executed, counted by a hook on the network.
        audit: the books.
        manifest: a row an image.
        warnings: what the model's makers would want said about these prompts.
    """

    images: list[Image]
    plan: Plan
    evaluations: int
    audit: Audit
    manifest: pa.Table
    warnings: list[str]


def generate(
    prompts: Sequence[str] | Mapping[str, Any],
    *,
    model: str = "mini",
    tau: float = 1.0,
    linkage: str = "ward",
    embedding: str = "conditioning",
    storage: str | Path | None = None,
    name: str = "generated",
    progress: bool = True,
    **diffusion: Any,
) -> Generation:
    """Generate an image for every prompt, sharing early denoising steps between similar ones.

    Args:
        prompts: texts, or a prompt source as in a document, such as `{"template": ..., "axes": ...}`.
        model: `mini`, a hub id, or a local folder.
        tau: how much is shared; 0 shares nothing.
        linkage: "ward", "average" or "centroid".
        embedding: what the tree clusters by: "conditioning", "text_encoder", or a sentence-transformers model.
        storage: where states and images are kept, so that a later call that shares steps with this one reuses them;
            by default in memory, for this call only. It has no say in the images: every call founds its tree anew.
        name: of the set in `storage`.
        progress: show a bar, or lines where there is no terminal.
        **diffusion: further fields of the document's `diffusion` section: steps, guidance_scale, scheduler, seed,
            images_per_prompt, height, width, dtype, device, ...

    Raises:
        InputError: prompts, model or settings are wrong; nothing has been computed.
        RunError: an image could not be made.
    """
    from hierflow.document import validated

    if isinstance(prompts, str):
        raise InputError(
            "is one text, not a list of prompts", field="prompts", value=prompts, remedy="put it in a list"
        )
    fields = {
        "name": name,
        "prompts": dict(prompts) if isinstance(prompts, Mapping) else {"text": list(prompts)},
        "diffusion": {"model": model, **diffusion},
        "embedding": {"from": embedding},
        "sharing": {"tau": tau, "linkage": linkage, "tree": "fresh"},
        "storage": {"path": str(storage) if storage else f"memory://hierflow-{uuid.uuid4().hex}"},
    }
    spec = validated(ImageSetSpec, fields)
    run = uuid.uuid4().hex
    report: OpenProgress = to_stderr if progress else Silent
    stage = Stage(spec, Path.cwd(), None, run=run, invocation=run, progress=report)
    try:
        return _generated(stage)
    finally:
        if not storage:  # memory:// lives as long as the process, and a notebook calls this many times
            stage.store.files.remove()


def _generated(stage: Stage) -> Generation:
    prompts = load_prompts(stage.spec.prompts, stage.base)
    _ = stage.adapter.identity  # a wrong model, device or number of steps is refused before anything is written
    _ = stage.embedder
    check_memory(stage, prompts)
    stage.store.claim()
    stage.store.prompts.save(prompts)
    embeddings = embed(stage, prompts)
    compiled = make_plan(stage, prompts, embeddings)
    adopt(stage, compiled)
    keys = todo(stage.store, compiled)
    denoise_trunk(stage, compiled, prompts, keys)
    for key in keys:
        make_partition(stage, compiled, prompts, key)
    entries = stage.store.ledger.entries()
    assembled = assemble(stage, compiled, prompts, entries=entries)
    account, _ = write_audit(stage, compiled, assembled.rows, entries)
    failed = [row for row in assembled.rows if row.status != "current"]
    if failed:
        raise RunError(f"{len(failed)} images could not be made; the prompt {failed[0].prompt!r}: {failed[0].error}")
    retain(stage, compiled)
    return Generation(
        images=[_opened(stage, row.image_path) for row in assembled.rows],
        plan=compiled.plan,
        evaluations=account.books.executed,
        audit=account,
        manifest=_manifest(stage),
        warnings=advice(stage, prompts),
    )


def _opened(stage: Stage, path: str) -> Image:
    from PIL import Image

    from hierflow.images import decode_png

    return Image.fromarray(decode_png(stage.store.files.read(path)))


def _manifest(stage: Stage) -> pa.Table:
    from hierflow.images import read_manifest
    from hierflow.stages.reports.image_set import MANIFEST

    return read_manifest(stage.store.files.read(MANIFEST))
