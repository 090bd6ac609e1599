"""The question about an image, in the form that a model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hierflow.errors import InputError

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

TEMPLATE = 'Does this figure show "{prompt}"? Please answer yes or no.'
"""The question of VQAScore (Lin et al., ECCV 2024)."""


class Question:
    """Makes a model's inputs from an image and a prompt.

    A processor with a chat template is asked through it, as a user whose turn is over. One without, that knows a
    mark for the image, is given the mark and the question, or the question alone where it sets the mark itself.
    No other form is guessed.

    Args:
        processor: of the model.
        template: the question; `{prompt}` is where the prompt goes.
        field: the document's field that names the model, for errors.
        name: of the model, for errors.

    Raises:
        InputError: the processor has neither a chat template that shows an image nor a mark for one.
    """

    def __init__(self, processor: Any, template: str, *, field: str, name: str) -> None:
        self._processor, self._template = processor, template
        self._marks = _marks(processor)
        self._converses = getattr(processor, "chat_template", None) is not None
        self._before = "" if self._converses else _before(processor)
        if self._converses and self._rendered("", image=True) == self._rendered("", image=False):
            self._before = None
        if self._before is None:
            raise InputError(
                f"has a processor ({type(processor).__name__}) without a chat template that shows images, and "
                "without an image token",
                field=field,
                value=name,
                remedy="give a model that is asked through a chat template, or through an image token",
            )

    def length(self, prompt: str) -> int:
        """Tokens of the question about `prompt`, the image's not counted.

        For images of one size, equal lengths mean inputs of equal shapes.
        """
        text = self._rendered(prompt, image=True) if self._converses else self._text(prompt)
        return len(self._processor.tokenizer(text).input_ids)

    def inputs(self, image: Image, prompt: str) -> dict[str, torch.Tensor]:
        """What the model is called with: tensors whose first axis can be joined with those of other questions."""
        if self._converses:
            made = self._processor.apply_chat_template(
                self._conversation(prompt, {"type": "image", "image": image}),
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            )
        else:
            made = self._processor(images=image, text=f"{self._before}{self._text(prompt)}", return_tensors="pt")
        return {key: tensor for key, tensor in made.items() if key != "labels"}  # some make them for training

    def _text(self, prompt: str) -> str:
        """The question in words. What would read as a mark of the model's (`<image>`) is broken up."""
        for mark in self._marks:
            prompt = prompt.replace(mark, f"{mark[0]} {mark[1:]}")
        return self._template.replace("{prompt}", prompt)

    def _conversation(self, prompt: str, *images: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"role": "user", "content": [*images, {"type": "text", "text": self._text(prompt)}]}]

    def _rendered(self, prompt: str, *, image: bool) -> str:
        conversation = self._conversation(prompt, *([{"type": "image"}] if image else []))
        return str(self._processor.apply_chat_template(conversation, add_generation_prompt=True))


def _marks(processor: Any) -> list[str]:
    """Texts that a tokenizer reads as one of its special tokens, the image's among them, the longest first."""
    special = {token.content for token in processor.tokenizer.added_tokens_decoder.values() if token.special}
    special.add(str(getattr(processor, "image_token", "")))
    return sorted((mark for mark in special if len(mark) > 1), key=lambda mark: (-len(mark), mark))


def _before(processor: Any) -> str | None:
    """What a question without a chat template begins with, so that it has an image; None if that is not known."""
    from PIL import Image

    mark = str(getattr(processor, "image_token", ""))
    if not mark:
        return None
    image, token = Image.new("RGB", (32, 32)), processor.tokenizer.convert_tokens_to_ids(mark)
    for before in ("", mark):  # some set the mark themselves, and count one more as a second image
        try:
            made = processor(images=image, text=f"{before}?", return_tensors="pt")
        except ValueError:  # an image, and no mark for it
            continue
        if bool((made["input_ids"] == token).any()):
            return before
    return None
