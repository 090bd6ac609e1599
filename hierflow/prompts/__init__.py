"""A file, a list, a template with axes, or a table becomes one checked :class:`PromptSet`."""

from hierflow.prompts.load import load_prompts
from hierflow.prompts.prompt_set import PromptSet
from hierflow.prompts.source import PromptSource

__all__ = ["PromptSet", "PromptSource", "load_prompts"]
