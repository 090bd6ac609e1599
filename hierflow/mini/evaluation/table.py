"""The rows of the model card: renders, reconstructions, and pictures generated the standard way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hierflow.mini.catalogue.grammar import Attributes, ParsedPrompt, parse_prompt, prompt_for, random_attributes
from hierflow.mini.catalogue.render import render
from hierflow.mini.evaluation import prompts
from hierflow.mini.evaluation.judges import Judges, Shares
from hierflow.mini.evaluation.sampling import MiniModel, generate, reconstruct
from hierflow.mini.judges.classifier import classify

RENDER_SEED: Final = 124
RENDER_COUNT: Final = 400
HELD_OUT_COUNT: Final = 150


def peak_signal_to_noise(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return the PSNR between two stacks of pictures, in decibels."""
    error = np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / error))


def drawn(count: int, seed: int = RENDER_SEED) -> tuple[NDArray[np.uint8], list[Attributes]]:
    """Draw pictures of held-out combinations."""
    rng = np.random.default_rng(seed)
    combinations = [random_attributes(rng, held_out=True) for _ in range(count)]
    return np.stack([render(attributes, rng) for attributes in combinations]), combinations


def drawn_rows(model: MiniModel, judges: Judges, count: int = RENDER_COUNT) -> dict[str, Shares]:
    """Return the judges' own ceiling, and what the autoencoder leaves of drawn pictures."""
    renders, combinations = drawn(count)
    wanted = [ParsedPrompt(*one) for one in combinations]
    rebuilt = reconstruct(model.decoder.movq, renders)
    return {
        f"renders, {count} held-out combinations": judges.row(renders, wanted),
        f"the same through the MoVQ ({peak_signal_to_noise(renders, rebuilt):.1f} dB)": judges.row(rebuilt, wanted),
    }


def generated_rows(
    model: MiniModel,
    judges: Judges,
    *,
    seed: int = 0,
    held_out: int = HELD_OUT_COUNT,
    most: int | None = None,
    keep: Callable[[str, Sequence[str], NDArray[np.uint8]], None] | None = None,
) -> dict[str, Shares]:
    """Return a row for each kind of prompt.

    Args:
        seed: of all noise.
        held_out: how many held-out combinations.
        most: prompts of the other kinds; None for all.
        keep: is given each row's name, prompts and pictures.
    """
    combinations = [prompt_for(one) for one in prompts.held_out(held_out)]
    catalogue = [prompt_for(one) for one in prompts.catalogue()][:most]
    bare, colored = prompts.products()[:most], prompts.colored_products()[:most]
    kinds = {
        f"generated, {len(combinations)} held-out combinations": combinations,
        f"generated, {len(catalogue)} catalogue prompts": catalogue,
        f'generated, {len(bare)} times "a fish" and the like': bare,
        f'generated, {len(colored)} times "a red mug" and the like': colored,
    }
    rows: dict[str, Shares] = {}
    for name, texts in kinds.items():
        pictures = generate(model, texts, seed)
        rows[name] = judges.row(pictures, texts)
        if keep is not None:
            keep(name, texts, pictures)
    return rows


def draw_rows(
    model: MiniModel, judges: Judges, texts: Sequence[str], seed: int = 0
) -> tuple[dict[str, Shares], float]:
    """Return a row for each of two draws of the prior, the decoder's noise being the same, and how they differ.

    The figure beside the rows is the share of prompts whose pictures differ in an attribute that they leave open.
    """
    rows: dict[str, Shares] = {}
    read = []
    for draw in range(2):
        pictures = generate(model, texts, seed, prior_seed=seed + 1 + draw)
        rows[f"draw {draw + 1} of the prior, {len(texts)} prompts"] = judges.row(pictures, texts)
        read.append(classify(pictures, judges.classifier))
    left_open = np.array([[value is None for value in parse_prompt(text)] for text in texts])
    return rows, float(((read[0] != read[1]) & left_open).any(axis=1).mean())
