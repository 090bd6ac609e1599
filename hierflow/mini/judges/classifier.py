"""The first judge: a small CNN that reads the five attributes from a picture.

It is trained on renders alone and takes no part in training the model that it judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from hierflow.mini.catalogue.grammar import ATTRIBUTE_NAMES, ATTRIBUTE_SIZES
from hierflow.mini.pixels import to_signed_floats

WEIGHTS_FILE: Final = Path(__file__).parent / "weights" / "classifier.safetensors"
WIDTHS: Final = (3, 32, 64, 128, 192, 256)
HIDDEN_SIZE: Final = 256
BATCH_SIZE: Final = 128


class AttributeClassifier(nn.Module):
    """Five convolutions, mean and maximum over the picture, and one linear head an attribute."""

    def __init__(self) -> None:
        """Start from random weights; `load_classifier` gives the trained ones."""
        super().__init__()
        layers: list[nn.Module] = []
        for index, (incoming, outgoing) in enumerate(pairwise(WIDTHS)):
            convolution = nn.Conv2d(incoming, outgoing, 3, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(outgoing), nn.ReLU()]
            if index < len(WIDTHS) - 2:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.hidden = nn.Sequential(nn.Linear(2 * WIDTHS[-1], HIDDEN_SIZE), nn.ReLU())
        self.heads = nn.ModuleList(nn.Linear(HIDDEN_SIZE, size) for size in ATTRIBUTE_SIZES)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Return one tensor of logits an attribute, for pictures (N, 3, 64, 64) in -1..1."""
        maps = self.features(pictures)
        hidden = self.hidden(torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1))
        return [head(hidden) for head in self.heads]


def load_classifier(path: Path = WEIGHTS_FILE) -> AttributeClassifier:
    """Load the trained classifier, in float32 and ready to judge."""
    classifier = AttributeClassifier()
    # Batch norm's step counters are whole numbers; everything else is stored in half precision.
    state = {name: value.float() if value.is_floating_point() else value for name, value in load_file(path).items()}
    classifier.load_state_dict(state)
    return classifier.eval().requires_grad_(False)


@torch.no_grad()
def classify(images: NDArray[np.uint8], classifier: AttributeClassifier | None = None) -> NDArray[np.int64]:
    """Return the attribute indices read from each picture, (N, 5)."""
    judge = classifier or load_classifier()
    read = []
    for start in range(0, len(images), BATCH_SIZE):
        logits = judge(to_signed_floats(images[start : start + BATCH_SIZE]))
        read.append(torch.stack([scores.argmax(dim=1) for scores in logits], dim=1))
    return torch.cat(read).numpy() if read else np.zeros((0, len(ATTRIBUTE_NAMES)), np.int64)


def accuracy(
    images: NDArray[np.uint8],
    attributes: NDArray[np.integer] | Sequence[Sequence[int]],
    classifier: AttributeClassifier | None = None,
) -> dict[str, float]:
    """Return the share of pictures whose attribute is read as asked, by attribute, and that of all five right."""
    right = classify(images, classifier) == np.asarray(attributes)
    shares = {name: float(share) for name, share in zip(ATTRIBUTE_NAMES, right.mean(axis=0), strict=True)}
    return {**shares, "all_5": float(right.all(axis=1).mean())}
