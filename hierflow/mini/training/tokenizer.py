"""The CLIP tokenizer of the mini world: byte pairs learned from its prompts, letters for all other words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from transformers import CLIPTokenizer

from hierflow.mini.catalogue.grammar import Attributes, Mentions, prompt_for, random_attributes, random_mentions
from hierflow.mini.training.networks import PROMPT_LENGTH
from hierflow.mini.training.work import Run

CORPUS_SIZE: Final = 20_000
MERGE_LIMIT: Final = 600
WORD_END: Final = "</w>"
START: Final = "<|startoftext|>"
END: Final = "<|endoftext|>"
LETTERS: Final = tuple("abcdefghijklmnopqrstuvwxyz0123456789.,!?'-:;()&%$#@/\"")


def _learn_merges() -> list[tuple[str, str]]:
    rng = np.random.default_rng(0)
    corpus = [prompt_for(random_attributes(rng, held_out=None), random_mentions(rng)) for _ in range(CORPUS_SIZE)]
    learner = Tokenizer(models.BPE(end_of_word_suffix=WORD_END, unk_token=END))
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=MERGE_LIMIT, end_of_word_suffix=WORD_END, initial_alphabet=list(LETTERS), min_frequency=2
    )
    learner.train_from_iterator(corpus, trainer)
    merges = json.loads(learner.to_str())["model"]["merges"]
    return [(str(left), str(right)) for left, right in merges]


def build_tokenizer() -> CLIPTokenizer:
    """Learn the tokenizer; the same one every time. Every letter is in it, so no prompt has unknown words."""
    merges = _learn_merges()
    pieces = [*LETTERS, *(letter + WORD_END for letter in LETTERS), *(left + right for left, right in merges)]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys([*pieces, START, END]))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=PROMPT_LENGTH)


class PromptEncoder:
    """Turns attributes and mentions into padded token rows; each distinct prompt is tokenized once."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        """Start with nothing tokenized."""
        self._tokenizer = tokenizer
        self._known: dict[str, tuple[list[int], list[int]]] = {}

    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return token ids and attention mask, each (N, 24)."""
        rows = [self._row(prompt) for prompt in prompts]
        return torch.tensor([ids for ids, _ in rows]), torch.tensor([mask for _, mask in rows])

    def encode_attributes(self, attributes: Sequence[Attributes], mentions: Sequence[Mentions]) -> Tensor:
        """Return the token ids of the prompts that name the mentioned attributes."""
        return self.encode([prompt_for(row, named) for row, named in zip(attributes, mentions, strict=True)])[0]

    def _row(self, prompt: str) -> tuple[list[int], list[int]]:
        if prompt not in self._known:
            tokens = self._tokenizer(prompt, padding="max_length", max_length=PROMPT_LENGTH, truncation=True)
            self._known[prompt] = (tokens["input_ids"], tokens["attention_mask"])
        return self._known[prompt]


def train(run: Run) -> None:
    """Write `tokenizer/`."""
    build_tokenizer().save_pretrained(run.work.part("tokenizer"))
