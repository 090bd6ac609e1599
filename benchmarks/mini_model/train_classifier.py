"""Train the independent attribute classifier and write it in half precision.

    python -m benchmarks.mini_model.train_classifier --work DIR

The result, DIR/classifier.safetensors, is the file that `load_classifier` reads.
"""

from collections.abc import Sequence

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from benchmarks.mini_model.backgrounds import PICTURE_SIZE
from benchmarks.mini_model.classifier import AttributeClassifier
from benchmarks.mini_model.data import PictureSet, jitter
from benchmarks.mini_model.loop import Trainer, join_workers
from benchmarks.mini_model.recipe import parse_run

BLUR_CHANCE = 0.4
STRONGEST_NOISE = 0.08


def degrade(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Blur some batches and add a little noise, so that a generated picture's softness is no obstacle."""
    if rng.random() < BLUR_CHANCE:
        small = functional.interpolate(pictures, scale_factor=float(rng.uniform(0.5, 0.9)), mode="bilinear")
        pictures = functional.interpolate(small, size=PICTURE_SIZE, mode="bilinear")
    return pictures + torch.randn_like(pictures) * float(rng.uniform(0, STRONGEST_NOISE))


def classifier_loss(
    classifier: AttributeClassifier, pictures: PictureSet, batch: int, rng: np.random.Generator
) -> Tensor:
    """Return the five attributes' summed cross entropy on a fresh batch."""
    images, _, attributes = pictures.sample(batch, rng)
    logits = classifier(degrade(jitter(images, rng, mirror=False), rng))
    losses = [functional.cross_entropy(scores, attributes[:, column]) for column, scores in enumerate(logits)]
    return torch.stack(losses).sum()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    run = parse_run(__doc__, arguments, steps=750, batch=64, rate=2e-3)
    workers = join_workers()
    torch.manual_seed(1)
    classifier, pictures = AttributeClassifier().train(), run.work.pictures()
    # Batch norm keeps its own averages, which belong to the current weights, not to averaged ones.
    settings = run.settings("classifier", weight_decay=0.02, betas=(0.9, 0.999), ema_decay=None)
    Trainer(classifier, settings, workers).run(lambda rng: classifier_loss(classifier, pictures, run.batch, rng))
    if workers.is_first:
        state = classifier.state_dict().items()
        halved = {name: value.half() if value.is_floating_point() else value for name, value in state}
        save_file(halved, run.work.root / "classifier.safetensors")


if __name__ == "__main__":
    main()
