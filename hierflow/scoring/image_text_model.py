"""A network that reads an image and a question, loaded and asked."""

from __future__ import annotations

import inspect
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hierflow.errors import InputError
from hierflow.models.quiet import quiet_libraries
from hierflow.models.repository import Repository
from hierflow.models.runtime import Runtime
from hierflow.scoring.answer import ANSWER, answer_tokens, log_odds
from hierflow.scoring.question import Question

if TYPE_CHECKING:
    import torch


class ImageTextModel:
    """Any `AutoModelForImageTextToText` of transformers, with or without an encoder of its own for the question.

    Nothing is loaded before it is used.

    Args:
        name: what the document calls it.
        repository: where it lies.
        runtime: on what it runs.
        template: the question, with `{prompt}` where the prompt goes.
        field: the document's field that names it, for errors.

    Raises:
        InputError: on use, the model cannot be asked; see also :class:`~hierflow.scoring.question.Question`.
    """

    def __init__(self, name: str, repository: Repository, runtime: Runtime, template: str, field: str) -> None:
        self._name, self._repository, self._runtime = name, repository, runtime
        self._template, self._field = template, field

    def log_odds(self, asked: list[dict[str, torch.Tensor]]) -> torch.Tensor:
        """(B,) float64, the log-odds of the answer to each of a batch's questions, as :attr:`question` makes them."""
        import torch

        runtime, model = self._runtime, self.network
        inputs: dict[str, Any] = {}
        for key in asked[0]:
            joined = torch.cat([one[key] for one in asked])
            inputs[key] = joined.to(runtime.device, runtime.torch_dtype if joined.is_floating_point() else None)
        if self._decoder_start:
            inputs["decoder_input_ids"] = torch.tensor([self._decoder_start] * len(asked), device=runtime.device)
        if "logits_to_keep" in inspect.signature(model.forward).parameters:
            inputs["logits_to_keep"] = 1  # all of them are gigabytes where images are many tokens
        return log_odds(model(**inputs).logits[:, -1], self._tokens)

    @cached_property
    def network(self) -> Any:
        """The network, loaded."""
        from transformers import AutoModelForImageTextToText

        with quiet_libraries():
            model, loaded = AutoModelForImageTextToText.from_pretrained(
                self._repository.folder,
                dtype=self._runtime.torch_dtype,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        if loaded["missing_keys"]:  # they would be drawn at random
            raise self._unfit(f"lacks weights ({min(loaded['missing_keys'])})", "give a complete model")
        return model.eval()

    @cached_property
    def _processor(self) -> Any:
        from transformers import AutoProcessor

        try:
            return AutoProcessor.from_pretrained(
                self._repository.folder, local_files_only=True, trust_remote_code=False
            )
        except (ImportError, OSError, ValueError) as error:
            problem = " ".join(str(error).split())
            raise self._unfit(
                f"has no processor that can be used here ({problem})", "install what it needs"
            ) from error

    @cached_property
    def question(self) -> Question:
        """What makes the network's inputs of an image and a prompt."""
        return Question(self._processor, self._template, field=self._field, name=self._name)

    @cached_property
    def _tokens(self) -> list[int]:
        if tokens := answer_tokens(self._processor.tokenizer, ANSWER):
            return tokens
        raise self._unfit(f"has no token that reads {ANSWER!r}", "take a model that has one")

    @cached_property
    def _decoder_start(self) -> list[int]:
        """The tokens that a decoder of its own begins every answer with; none where there is no such decoder."""
        config, generation = self.network.config, self.network.generation_config
        if not (config.is_encoder_decoder or config.get_text_config(decoder=True).is_encoder_decoder):
            return []
        if generation.decoder_start_token_id is None:
            raise self._unfit("does not say what its answers begin with", "set decoder_start_token_id in its config")
        forced = generation.forced_bos_token_id
        return [generation.decoder_start_token_id, *([] if forced is None else [forced])]

    def _unfit(self, problem: str, remedy: str) -> InputError:
        return InputError(problem, field=self._field, value=self._name, remedy=remedy)
