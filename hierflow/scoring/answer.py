"""The answer to a yes-or-no question, read off a language model's logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

ANSWER = "Yes"
"""What VQAScore listens for."""


def answer_tokens(tokenizer: Any, answer: str) -> list[int]:
    """The tokens that read `answer` and nothing else, in any case, with or without white space around it.

    Which of "Yes", " Yes" and "yes" a model says depends on how its tokenizer cuts words and on what it was trained
    with; all of them mean the same, so their probabilities are added up.
    """
    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    return [token for token, text in enumerate(texts) if text.strip().lower() == answer.strip().lower()]


def log_odds(logits: torch.Tensor, tokens: list[int]) -> torch.Tensor:
    """log p - log(1 - p), where p is the probability that the next token is one of `tokens`.

    Args:
        logits: (B, V), over the whole vocabulary.
        tokens: which of 0 .. V - 1; not all of them.

    Returns:
        (B,) float64. Computed from the logits of both sides, so that it stays finite where p rounds to 0 or 1.
    """
    import torch

    among = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
    among[tokens] = True
    logits = logits.double()
    return logits[:, among].logsumexp(dim=1) - logits[:, ~among].logsumexp(dim=1)
