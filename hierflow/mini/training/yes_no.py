"""Train the yes/no judge, first its eyes alone, then all of it, and write it as a folder that transformers loads.

The eyes learn with heads that read the attributes. Then every picture is asked about eight times, half of the prompts
being true of it. Answers are tokens like any others: their loss is the cross entropy over the whole vocabulary. A
second head tells of every attribute's last word whether it is true: from answers alone, a chain of up to five facts,
the judge learns nothing for hours. All heads are dropped in the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hierflow.mini.catalogue.grammar import ATTRIBUTE_SIZES
from hierflow.mini.judges.yes_no import NO, TOWER_WIDTHS, YES, build_judge, build_processor
from hierflow.mini.training.augment import damage, jitter
from hierflow.mini.training.claims import Claim, random_claim
from hierflow.mini.training.classifier import attribute_loss
from hierflow.mini.training.export import forget_places
from hierflow.mini.training.loop import Trainer
from hierflow.mini.training.pictures import PictureSet
from hierflow.mini.training.questions import Questions
from hierflow.mini.training.work import Run

EYE_STEPS: Final = 2400
EYE_BATCH: Final = 64
EYE_RATE: Final = 2e-3
STEPS: Final = 4200
BATCH: Final = 16
RATE: Final = 1e-3
QUESTIONS: Final = 8
EYE_WEIGHT: Final = 0.2


class Eye(nn.Module):
    """The judge's vision tower, with heads that read the attributes."""

    def __init__(self, tower: nn.Module) -> None:
        """Add fresh heads to the tower."""
        super().__init__()
        self.tower = tower
        self.hidden = nn.Sequential(nn.Linear(2 * TOWER_WIDTHS[-1], 256), nn.ReLU())
        self.heads = nn.ModuleList(nn.Linear(256, size) for size in ATTRIBUTE_SIZES)

    def forward(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the tower's maps, and one tensor of logits an attribute."""
        maps: Tensor = self.tower(pictures).last_hidden_state
        hidden = self.hidden(torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1))
        return maps, [head(hidden) for head in self.heads]


class SeeingJudge(nn.Module):
    """The judge, the heads of its eyes, which share the tower, and the head that checks words."""

    def __init__(self, judge: Any, processor: Any) -> None:
        """Put heads on the judge's tower."""
        super().__init__()
        width = judge.config.text_config.hidden_size
        self.judge, self.eye = judge, Eye(judge.model.vision_tower)
        self.word_head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1))
        ids = processor.tokenizer.convert_tokens_to_ids
        self.questions, self.answers = Questions(judge, processor), torch.tensor([ids(NO), ids(YES)])


def eye_loss(eye: Eye, pictures: PictureSet, batch: int, rng: np.random.Generator) -> Tensor:
    """Return the attributes' summed cross entropy on a fresh batch."""
    images, _, attributes = pictures.sample(batch, rng)
    device = next(eye.parameters()).device
    return attribute_loss(eye(damage(jitter(images, rng, mirror=True), rng).to(device))[1], attributes.to(device))


def judge_loss(model: SeeingJudge, pictures: PictureSet, batch: int, rng: np.random.Generator) -> Tensor:
    """Return the answers' cross entropy on a fresh batch, with that of the words, and some of the eyes'."""
    device = next(model.parameters()).device
    images, truths, attributes = pictures.sample(batch, rng)
    claims = [[random_claim(truth, rng, true=bool(k % 2)) for k in range(QUESTIONS)] for truth in truths]
    maps, seen = model.eye(damage(jitter(images, rng, mirror=True), rng).to(device))
    answers = model.questions.ask(maps, [[claim.prompt for claim in row] for row in claims])
    right = model.answers.to(device)[torch.arange(QUESTIONS) % 2].expand(batch, -1)
    answered = functional.cross_entropy(answers.logits.flatten(0, 1), right.flatten())
    checked = word_loss(model.word_head(answers.read)[..., 0], answers.starts, claims)
    return answered + checked + EYE_WEIGHT * attribute_loss(seen, attributes.to(device))


def word_loss(scores: Tensor, starts: Tensor, claims: Sequence[Sequence[Claim]]) -> Tensor:
    """Return the cross entropy of the words' truth.

    Args:
        scores: (P, tokens) the log-odds that a token is true of its picture.
        starts: (P, Q) at which token each prompt begins; a word is a token.
    """
    rows: list[int] = []
    places: list[int] = []
    truths: list[bool] = []
    for picture, (row, begins) in enumerate(zip(claims, starts.tolist(), strict=True)):
        for claim, begin in zip(row, begins, strict=True):
            rows += [picture] * len(claim.words)
            places += [begin + word for word in claim.words]
            truths += claim.words.values()
    told = torch.tensor(truths, dtype=scores.dtype, device=scores.device)
    return functional.binary_cross_entropy_with_logits(scores[rows, places], told)


def train(run: Run) -> None:
    """Write `yes_no/`, in half precision."""
    torch.manual_seed(12)
    processor, pictures = build_processor(), run.work.pictures()
    judge = build_judge(processor.tokenizer)
    judge.set_attn_implementation("eager")  # the backward pass of the fused kernel is slow on CPUs
    model = SeeingJudge(judge.train(), processor)
    # Batch norm keeps its own averages, which belong to the current weights, not to averaged ones.
    common: dict[str, Any] = {"weight_decay": 0.02, "ema_decay": None, "seed": 12}
    first = run.settings("yes_no_eye", steps=EYE_STEPS, rate=EYE_RATE, hold=0.4, betas=(0.9, 0.999), **common)
    batch = run.workers.share(EYE_BATCH)
    Trainer(model.eye, first, run.workers).run(lambda rng: eye_loss(model.eye, pictures, batch, rng))
    second, share = run.settings("yes_no", steps=STEPS, rate=RATE, hold=0.4, **common), run.workers.share(BATCH)
    Trainer(model, second, run.workers).run(lambda rng: judge_loss(model, pictures, share, rng))
    if run.workers.is_first:
        save_judge(judge, processor, run)


def save_judge(judge: Any, processor: Any, run: Run) -> None:
    """Write the folder that `AutoModelForImageTextToText` and `AutoProcessor` load."""
    folder = run.work.part("yes_no")
    judge.eval().cpu().half().save_pretrained(folder)
    processor.save_pretrained(folder)
    for config in folder.glob("*.json"):
        forget_places(config)
