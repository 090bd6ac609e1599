"""Galleries to open in a browser: their pages, with files of their own beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from hierflow.hashing import bytes_digest
from hierflow.images import Changes, ImageRow, Saving, Thumbnails, encode_png, render_gallery
from hierflow.plan.lanes import Variant
from hierflow.plan.segments import Plan
from hierflow.store.storage import Storage
from hierflow.tree import EmbeddingTree

AXES = {"style": ["a photo of", "pixel art of"], "color": ["red", "blue"], "thing": ["mug", "chair", "hat", "car"]}
STEPS = 20
DANGEROUS = [
    "<script>alert(1)</script> a red mug",
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "' onload='alert(1)' onmouseover=\"alert(1)\"",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:alert(1)",
    "line\u2028paragraph\u2029end\nand a new line",
    "a 🐈\u200d⬛ and an astronaut 👩🏽\u200d🚀, «noir» & &lt;b&gt;",
    "صورة لكوب أحمر على طاولة خشبية",
    "x" * 2000,
    ("a very long prompt, soft light from the left, " * 50)[:2000],
]


def catalogue(folder: Path) -> tuple[Path, list[ImageRow], Plan]:
    """Sixteen images with files of odd names; two are new, one is changed, one failed, one prompt is retired."""
    values = list(product(*AXES.values()))
    rows = _rows([f"{style} a {color} {thing}" for style, color, thing in values], folder)
    rows = [replace(row, axes=dict(zip(AXES, of, strict=True))) for row, of in zip(rows, values, strict=True)]
    rows[15] = replace(rows[15], image_path="", image_sha256="", status="failed", error="the latents are not finite")
    kinds = ("new", "new", "changed", *["kept"] * 12, "missing")
    changes = Changes(kinds, ("an old prompt",), 1)
    features = {
        value: row for values in AXES.values() for value, row in zip(values, np.eye(len(values)), strict=True)
    }
    weights = (0.5, 0.3, 1.0)  # things are far apart, styles and colours near
    embeddings = [
        np.concatenate([weight * features[value] for weight, value in zip(weights, of, strict=True)]) for of in values
    ]
    plan = EmbeddingTree.from_embeddings(embeddings).plan(tau=0.7, steps=STEPS)
    rows = [replace(row, node_path=_path(plan, leaf)) for leaf, row in enumerate(rows)]
    return _written(folder, "catalogue", rows, list(AXES), plan, changes), rows, plan


def one_left_out(folder: Path) -> Path:
    """Three images, and a prompt after them that the plan leaves out."""
    rows = _rows([f"a {color} mug" for color in ("red", "blue", "green", "grey")], folder)
    rows[3] = replace(
        rows[3], partition="", image_path="", image_sha256="", status="failed", error="it is not finite"
    )
    plan = EmbeddingTree.from_embeddings([[1, 0], [0, 1], [1, 0.1]]).plan(tau=0.7, steps=STEPS)
    changes = Changes(("kept", "kept", "kept", "missing"), (), 0)
    return _written(folder, "left out", rows, [], plan, changes)


def dangerous(folder: Path) -> Path:
    """Images of prompts that would run a script, or break the page, were they not shown as text."""
    # The axis is called like a column of the page's own.
    rows = [replace(row, axes={"change": row.prompt[:50]}) for row in _rows(DANGEROUS, folder)]
    rows[1] = replace(rows[1], status="outdated", error=DANGEROUS[0])
    rows[2] = replace(rows[2], image_path="", image_sha256="", status="failed", error=DANGEROUS[1])
    changes = Changes(tuple("missing" if not row.image_path else "new" for row in rows), tuple(DANGEROUS), len(rows))
    plan = EmbeddingTree.from_embeddings(np.random.default_rng(0).normal(size=(len(rows), 4))).plan(
        tau=1, steps=STEPS
    )
    return _written(folder, DANGEROUS[0], rows, ["change"], plan, changes, notes=[DANGEROUS[1]])


def large(folder: Path, count: int = 2000) -> Path:
    """A page of many heavy images and thumbnails, of which a few are there."""
    rng = np.random.default_rng(0)
    files, side = Storage(folder), 512
    thumbnails, rows, shown = Thumbnails(files), [], {}
    groups = rng.normal(size=(60, 32))
    embeddings = groups[rng.integers(60, size=count)] + 0.35 * rng.normal(size=(count, 32))
    plan = EmbeddingTree.from_embeddings(embeddings).plan(tau=0.8, steps=50)
    for number in range(count):
        sha = bytes_digest(str(number).encode())
        path = f"images/0123abcd/{sha[:16]}-{sha[:12]}-0.png"
        shown[path] = f"thumbnails/320/{sha[:32]}-9999.webp"
        prompt = (
            f"a photo of thing number {number} on a wooden table, soft light from the left, shallow depth of field"
        )
        axes = {"group": f"group {number % 40}", "light": ("soft", "hard")[number % 2]}
        rows.append(_row(prompt, path, sha, axes))
        if number < 12:
            pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
            files.write(path, encode_png(pixels, {}))
            files.write(shown[path], files.read(thumbnails.keep(sha, pixels)))
    changes = Changes(("new",) * 50 + ("kept",) * (count - 50), (), 0)
    return _written(folder, "large", rows, ["group", "light"], plan, changes, size=side, thumbnails=shown)


def _path(plan: Plan, leaf: int) -> str:
    return "/".join(f"{plan.nodes[s]}@{plan.first[s]}-{plan.last[s]}" for s in plan.path(leaf))


def _rows(prompts: Sequence[str], folder: Path) -> list[ImageRow]:
    rows = []
    for number, prompt in enumerate(prompts):
        pixels = np.full((24, 24, 3), 10 * number, dtype=np.uint8)
        path, png = f"images/100% of #{number}? ü 猫.png", encode_png(pixels, {"prompt": prompt})
        Storage(folder).write(path, png)
        rows.append(_row(prompt, path, bytes_digest(png), {}))
    return rows


def _row(prompt: str, path: str, sha256: str, axes: dict[str, str]) -> ImageRow:
    return ImageRow(
        prompt_id=sha256[:16],
        image_index=0,
        prompt=prompt,
        axes=axes,
        variant=Variant(0, 64, 64),
        partition="a-photo-of-a-red-mug-a1b2c3",
        node_path="",
        image_path=path,
        image_sha256=sha256,
        evaluations=9.5,
        evaluations_paid=9.5,
        run_id="3f8943f9-9dd9-4dbe-9f83-280d88eacd45",
        scores={"clip_similarity": int(sha256[:4], 16) / 65536},
    )


def _written(
    folder: Path,
    title: str,
    rows: list[ImageRow],
    axes: list[str],
    plan: Plan,
    changes: Changes,
    notes: Sequence[str] = (),
    size: int = 24,
    thumbnails: dict[str, str] | None = None,
) -> Path:
    page = folder / "gallery.html"
    html = render_gallery(
        title,
        rows,
        axes,
        [("model", "mini")],
        notes,
        image_size=(size, size),
        thumbnails=thumbnails,
        changes=changes,
        saving=Saving(plan.standard_evaluations, plan.evaluations, plan.evaluations // 4, by_last_run=True),
        plan=plan,
        leaves=[leaf if row.is_planned else -1 for leaf, row in enumerate(rows)],
    )
    page.write_text(html, "utf-8")
    return page
