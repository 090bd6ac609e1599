"""Train the attribute classifier, the first judge, and write it in half precision."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from hierflow.mini.judges.classifier import AttributeClassifier
from hierflow.mini.training.augment import degrade, jitter
from hierflow.mini.training.loop import Trainer
from hierflow.mini.training.pictures import PictureSet
from hierflow.mini.training.work import Run

STEPS: Final = 750
BATCH: Final = 64
RATE: Final = 2e-3


def classifier_loss(
    classifier: AttributeClassifier, pictures: PictureSet, batch: int, rng: np.random.Generator
) -> Tensor:
    """Return the five attributes' summed cross entropy on a fresh batch."""
    images, _, attributes = pictures.sample(batch, rng)
    device = next(classifier.parameters()).device
    logits = classifier(degrade(jitter(images, rng, mirror=False), rng).to(device))
    return attribute_loss(logits, attributes.to(device))


def attribute_loss(logits: list[Tensor], attributes: Tensor) -> Tensor:
    """Return the attributes' summed cross entropy."""
    losses = [functional.cross_entropy(scores, attributes[:, column]) for column, scores in enumerate(logits)]
    return torch.stack(losses).sum()


def train(run: Run) -> None:
    """Write `classifier.safetensors`, which `load_classifier` reads."""
    torch.manual_seed(1)
    classifier, pictures = AttributeClassifier().train(), run.work.pictures()
    # Batch norm keeps its own averages, which belong to the current weights, not to averaged ones.
    settings = run.settings(
        "classifier", steps=STEPS, rate=RATE, weight_decay=0.02, betas=(0.9, 0.999), ema_decay=None
    )
    batch = run.workers.share(BATCH)
    Trainer(classifier, settings, run.workers).run(lambda rng: classifier_loss(classifier, pictures, batch, rng))
    if run.workers.is_first:
        state = classifier.state_dict().items()
        halved = {name: value.cpu().half() if value.is_floating_point() else value.cpu() for name, value in state}
        save_file(halved, run.work.part("classifier.safetensors"))
