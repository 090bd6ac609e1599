"""Many questions about one picture in one sequence: what comes before the prompt is computed once for all of them.

Every question attends to the common beginning and to itself, at the positions that it has when it is asked alone, so
the answers are those of the model asked the usual way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hierflow.mini.judges.yes_no import IMAGE, IMAGE_TOKENS
from hierflow.scoring.question import TEMPLATE

COMMON = -1
NOTHING = -2


class Answers(NamedTuple):
    """What a judge makes of P pictures with Q questions each.

    Attributes:
        logits: (P, Q, vocabulary) of the token that answers.
        read: (P, tokens, width) what the layer before the last makes of every token.
        starts: (P, Q) at which token each prompt begins.
    """

    logits: Tensor
    read: Tensor
    starts: Tensor


class Questions:
    """Asks a judge about its own image features."""

    def __init__(self, judge: Any, processor: Any) -> None:
        """Split the question where the prompt goes."""
        self._judge, self._tokenizer = judge, processor.tokenizer
        content = [{"type": "image"}, {"type": "text", "text": TEMPLATE}]
        asked = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        before, self._after = asked.split("{prompt}")
        self._before = torch.tensor(self._tokenizer(before.replace(IMAGE, IMAGE * IMAGE_TOKENS)).input_ids)
        self._is_image = self._before == self._tokenizer.convert_tokens_to_ids(IMAGE)
        self._known: dict[str, list[int]] = {}

    def ask(self, maps: Tensor, prompts: Sequence[Sequence[str]]) -> Answers:
        """Ask about pictures.

        Args:
            maps: (pictures, channels, height, width) the vision tower's output.
            prompts: equally many a picture.
        """
        model, device = self._judge.model, maps.device
        embed = model.get_input_embeddings()
        tokens, question, position, ends = (part.to(device) for part in self._packed(prompts))
        seen = model.multi_modal_projector(maps.flatten(2).permute(0, 2, 1))
        common = embed(self._before.to(device)).expand(len(maps), -1, -1)
        is_image = self._is_image.to(device)[None, :, None].expand_as(common)
        read = model.language_model(
            inputs_embeds=torch.cat([common.masked_scatter(is_image, seen), embed(tokens)], dim=1),
            attention_mask=_mask(question, position),
            position_ids=position,
            use_cache=False,
            output_hidden_states=True,
        )
        hidden = read.last_hidden_state
        at_ends = hidden.gather(1, ends[..., None].expand(-1, -1, hidden.shape[-1]))
        starts = torch.cat([torch.full_like(ends[:, :1], len(self._before)), ends[:, :-1] + 1], dim=1)
        return Answers(self._judge.lm_head(at_ends), read.hidden_states[-2], starts)

    def _packed(self, prompts: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the tokens after the beginning, every token's question and position, and where questions end."""
        rows = [[self._rest(prompt) for prompt in row] for row in prompts]
        first, longest = len(self._before), max(sum(map(len, row)) for row in rows)
        tokens = torch.zeros(len(rows), longest, dtype=torch.long)
        question = torch.full((len(rows), first + longest), NOTHING)
        position = torch.zeros(len(rows), first + longest, dtype=torch.long)
        question[:, :first], position[:, :first] = COMMON, torch.arange(first)
        lengths = torch.tensor([[len(rest) for rest in row] for row in rows])
        for i, row in enumerate(rows):
            size = sum(map(len, row))
            tokens[i, :size] = torch.tensor([token for rest in row for token in rest])
            question[i, first : first + size] = torch.repeat_interleave(lengths[i])
            position[i, first : first + size] = torch.tensor([first + k for rest in row for k in range(len(rest))])
        return tokens, question, position, first + lengths.cumsum(dim=1) - 1

    def _rest(self, prompt: str) -> list[int]:
        if prompt not in self._known:
            self._known[prompt] = self._tokenizer(prompt + self._after).input_ids
        return self._known[prompt]


def _mask(question: Tensor, position: Tensor) -> Tensor:
    """Return what is added to attention scores, (pictures, 1, tokens, tokens)."""
    same = question[:, None, :] == question[:, :, None]
    allowed = (same | (question[:, None, :] == COMMON)) & (position[:, None, :] <= position[:, :, None])
    lowest = torch.finfo(torch.float32).min
    return torch.zeros(allowed.shape, device=question.device).masked_fill(~allowed, lowest)[:, None]
