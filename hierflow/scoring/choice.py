"""Which scores a set's images are given, and by what."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from hierflow.errors import InputError
from hierflow.scoring.own_clip import OwnClip
from hierflow.scoring.safety_check import SafetyCheck
from hierflow.scoring.scorer import Scorer
from hierflow.spec import ScoringSpec

if TYPE_CHECKING:
    from hierflow.models.adapter import Adapter
    from hierflow.scoring.clip_score import ClipScore
    from hierflow.scoring.vqa import VqaScore

OWN = OwnClip.name
"""The score that a diffusion model brings with it."""
COMPARED = ("vqa", "clip", OWN)
"""The scores that say how well an image shows its prompt; the best judge first."""


class Embedder(Protocol):
    """A scorer that can embed images."""

    def image_embeddings(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """The embeddings of at least one image (uint8, height x width x 3): (images, embedding), each of length 1.

        NaN where there is none.
        """


class Scorers:
    """The scorers of a document. No weights are loaded before something is scored.

    Args:
        spec: the document's section.
        adapter: the diffusion model, which may bring a CLIP model of its own, and a safety checker.
        base: the folder that relative paths are relative to.
        judge: the model of `vqa` where the document names none; None if there is none.
    """

    def __init__(self, spec: ScoringSpec, adapter: Adapter, base: Path, judge: Path | None) -> None:
        self._spec, self._adapter, self._base, self._judge = spec, adapter, base, judge

    @cached_property
    def versions(self) -> dict[str, str]:
        """Identity of every score that images are given, by its name.

        Raises:
            InputError: the model of a score is not there, or none is named; or nothing could judge the baselines.
        """
        found = self._versions()
        if self._spec.baseline_sample and not found.keys() & set(COMPARED):
            raise InputError(
                "needs a score to compare by, and the diffusion model brings none",
                field="scoring.baseline_sample",
                value=self._spec.baseline_sample,
                remedy="name a model: scoring.metrics: [vqa] and scoring.vqa.model",
            )
        return found

    def _versions(self) -> dict[str, str]:
        metrics, own = self._spec.metrics, {name: scorer.version for name, scorer in self._own.items()}
        if metrics is None:
            return own
        found = {name: version for name, version in own.items() if name != OWN}
        if "vqa" in metrics:
            found["vqa"] = self._vqa.version
        if "clip" in metrics and self._spec.clip.model:
            found["clip"] = self._clip.version
        elif "clip" in metrics:
            if OWN not in own:
                raise InputError(
                    "needs a CLIP model, and the diffusion model brings none",
                    field="scoring.metrics",
                    value="clip",
                    remedy="name one: scoring.clip.model",
                )
            found[OWN] = own[OWN]
        return found

    @property
    def provenance(self) -> dict[str, dict[str, str | None]]:
        """By what model images are given each score, for people to read."""
        own: dict[str, str | None] = {"model": "the diffusion model's own"}
        named = {"vqa": lambda: self._vqa.provenance, "clip": lambda: self._clip.provenance}
        return {
            name: {**named.get(name, lambda: own)(), "version": version} for name, version in self.versions.items()
        }

    @property
    def compared(self) -> list[str]:
        """The scores that shared and standard images are compared by, the best judge first."""
        return [name for name in COMPARED if name in self.versions]

    def of(self, name: str) -> Scorer:
        """What gives images the score `name`, one of :attr:`versions`."""
        if name == "vqa":
            return self._vqa
        return self._clip if name == "clip" else self._own[name]

    @property
    def embedded_by(self) -> str:
        """The score whose model embeds images, so that they can be compared with each other; empty if none does."""
        return next((name for name in ("clip", OWN) if name in self.versions), "")

    @property
    def embedder(self) -> Embedder | None:
        """The model of :attr:`embedded_by`."""
        return cast("Embedder", self.of(self.embedded_by)) if self.embedded_by else None

    @cached_property
    def _own(self) -> dict[str, Scorer]:
        """Those that the diffusion model brings, by name."""
        adapter, found = self._adapter, list[Scorer]()
        if adapter.clip_fingerprint:
            found.append(OwnClip(adapter))
        if adapter.safety_checker:
            found.append(SafetyCheck(adapter.safety_checker, adapter.runtime, adapter.placement))
        return {scorer.name: scorer for scorer in found}

    @cached_property
    def _vqa(self) -> VqaScore:
        from hierflow.scoring.question import TEMPLATE
        from hierflow.scoring.vqa import load_vqa

        spec = self._spec.vqa
        if not (model := spec.model or (str(self._judge) if self._judge else None)):
            raise InputError(
                "needs a model that reads images, and none comes with the diffusion model",
                field="scoring.metrics",
                value="vqa",
                remedy="name one: scoring.vqa.model",
            )
        return load_vqa(
            model,
            self._adapter.runtime,
            revision=spec.revision,
            base=self._base,
            template=spec.question or TEMPLATE,
            field="scoring.vqa.model",
            placement=self._adapter.placement,
        )

    @cached_property
    def _clip(self) -> ClipScore:
        from hierflow.scoring.clip_score import load_clip

        spec = self._spec.clip
        assert spec.model is not None
        return load_clip(
            spec.model,
            self._adapter.runtime,
            revision=spec.revision,
            base=self._base,
            field="scoring.clip.model",
            placement=self._adapter.placement,
        )
