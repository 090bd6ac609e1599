"""What is measured of a run's images: attributes, the yes/no judge's log-odds, CLIP similarity; and renders to hold
features against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.experiments.keeping import Kept
from benchmarks.experiments.prompt_sets import MiniSet
from hierflow.hashing import bytes_digest, digest
from hierflow.mini import YES_NO_JUDGE
from hierflow.mini.catalogue.grammar import ATTRIBUTE_NAMES, ATTRIBUTE_SIZES, Attributes, ParsedPrompt, parse_prompt
from hierflow.mini.catalogue.render import render
from hierflow.models.registry import open_model
from hierflow.scoring.own_clip import OwnClip
from hierflow.scoring.vqa import VqaScore, load_vqa
from hierflow.spec import DiffusionSpec

Images = npt.NDArray[np.uint8]
Said = tuple[dict[str, npt.NDArray[np.float64]], npt.NDArray[np.float64] | None]
"""Scores by column, and vectors where a measure has them."""


class Judges:
    """Everything that looks at images.

    Attributes:
        names: of each measure, with the version of its weights: a file of scores each.
    """

    @cached_property
    def names(self) -> dict[str, str]:
        """By "classifier", "clip" and, where its weights are there, "vqa"."""
        from hierflow.mini.judges.classifier import WEIGHTS_FILE

        versions = {"classifier": bytes_digest(WEIGHTS_FILE.read_bytes()), "clip": self._clip.version}
        if (YES_NO_JUDGE / "model.safetensors").exists():
            versions["vqa"] = self._vqa.version
        return {name: f"{name}-{version[:8]}" for name, version in versions.items()}

    def see(self, kept: Kept) -> None:
        """Measure what has not been measured of a run."""
        measures: dict[str, Callable[[Images, Sequence[str]], Said]] = {
            "classifier": self._read,
            "clip": self._compare,
            "vqa": self._ask,
        }
        missing = [name for name, file in self.names.items() if not kept.has(file)]
        images = list(kept.images) if missing else []
        for name in missing:
            kept.keep(self.names[name], *measures[name](np.stack(images), kept.rows["prompt"]))

    def renders(self, prompts: MiniSet, folder: Path) -> npt.NDArray[np.float64]:
        """(N, D) the classifier's features of drawn pictures of the same attributes, in the order of a run's images.

        What a prompt leaves open is drawn at random, so for short prompts the renders are more varied than any
        picture of one prompt can be.
        """
        about = digest("renders", self.names["classifier"], prompts.texts, prompts.images_per_prompt)
        path = folder / f"{about[:16]}.npy"
        if not path.exists():
            rng = np.random.default_rng(4)
            wanted = [parse_prompt(text) for text in prompts.texts] * prompts.images_per_prompt
            drawn = [render(_filled(one, rng), rng) for one in wanted]
            folder.mkdir(parents=True, exist_ok=True)
            np.save(path, self._features(np.stack(drawn))[0])
        return np.asarray(np.load(path), np.float64)

    def _read(self, images: Images, prompts: Sequence[str]) -> Said:
        """Which attributes are right, NaN where the prompt leaves them open; and the classifier's features."""
        features, read = self._features(images)
        wanted = np.array([[-1 if value is None else value for value in parse_prompt(text)] for text in prompts])
        right = np.where(wanted < 0, np.nan, read == wanted)
        scores = dict(zip(ATTRIBUTE_NAMES, right.T, strict=True))
        return {**scores, "attributes": np.nanmean(right, axis=1), "all": np.nanmin(right, axis=1)}, features

    def _features(self, images: Images) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """(N, D) the classifier's last layer before its heads, and (N, 5) what the heads make of it."""
        import torch

        from hierflow.mini.judges.classifier import BATCH_SIZE
        from hierflow.mini.pixels import to_signed_floats

        hidden, seen = [], []
        hook = self._classifier.hidden.register_forward_hook(lambda module, given, made: hidden.append(made))
        with torch.no_grad():
            for start in range(0, len(images), BATCH_SIZE):
                logits = self._classifier(to_signed_floats(images[start : start + BATCH_SIZE]))
                seen.append(torch.stack([one.argmax(dim=1) for one in logits], dim=1))
        hook.remove()
        return torch.cat(hidden).double().numpy(), torch.cat(seen).numpy()

    def _compare(self, images: Images, prompts: Sequence[str]) -> Said:
        scores = np.array(self._clip.score(list(images), prompts))
        return {"clip": scores}, self._clip.image_embeddings(list(images))

    def _ask(self, images: Images, prompts: Sequence[str]) -> Said:
        return {"vqa": np.array(self._vqa.score(list(images), prompts))}, None

    @cached_property
    def _classifier(self) -> Any:
        from hierflow.mini.judges.classifier import load_classifier

        return load_classifier()

    @cached_property
    def _clip(self) -> OwnClip:
        return OwnClip(open_model(DiffusionSpec(model="mini", deterministic=False), Path()))

    @cached_property
    def _vqa(self) -> VqaScore:
        return load_vqa(str(YES_NO_JUDGE))


def _filled(parsed: ParsedPrompt, rng: np.random.Generator) -> Attributes:
    sizes = zip(parsed, ATTRIBUTE_SIZES, strict=True)
    return Attributes(*(int(rng.integers(size)) if value is None else value for value, size in sizes))
