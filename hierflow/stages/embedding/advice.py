"""Warnings before and with a run: the input is valid, and the result will probably disappoint."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from hierflow.models.schedulers import draws_noise, scheduler_name
from hierflow.prompts import PromptSet
from hierflow.stages.context import Stage

_OTHER_TOOLS = {
    "<lora:name:0.8>": (re.compile(r"<(?:lora|lyco|hypernet):[^<>]+>"), "name LoRAs in diffusion.loras"),
    "__name__": (
        re.compile(r"(?<!\w)__[^\W_][\w./*-]*?__(?!\w|\.\w)"),
        "use a template with axes to insert values from a list",
    ),
    "{a|b}": (
        re.compile(r"\{(?=[^{}]*\w)[^{}|]*\|[^{}]*\}"),
        "use a template with axes to make a prompt for each choice",
    ),
    # Times, ratios and verses such as (12:30) and (scale 1:10) are no weights.
    "(word:1.3)": (
        re.compile(r"\((?=[^():]*[^\W\d_])[^()]*(?::\s*[+-]?\d?\.\d+\s*|(?<!\d):[+-]?\d)\)"),
        "remove the weights",
    ),
    # COFFEE BREAK is what a sign says.
    "BREAK": (re.compile(r"""(?<![A-Z]\s)(?<![\w"'“‘-])BREAK(?![\w"'”’-]|\s[A-Z]{2})"""), "remove the word"),
    "[a|b] or [a:b:0.5]": (
        re.compile(r"\[(?=[^][]*\w)[^][|]*\|[^][]*\]|\[[^][:]*(?<!\d):(?:[^][:]*(?<!\d):)?\d*\.?\d+\]"),
        "write one of the alternatives",
    ),
}
"""Prompt syntax of other tools, which diffusers passes to the model as it is: example -> (pattern, remedy)."""
# A joiner is part of the text within an emoji and in the scripts that use it, which begin at U+0590.
_HIDDEN = re.compile("[\u00a0\u2007\u202f\u00ad\u200b\u2060\ufeff]|(?<![\u0590-\U0010ffff])[\u200c\u200d]")
_SHOWN = 3


def advice(stage: Stage, prompts: PromptSet) -> list[str]:
    """A sentence for each thing that will probably disappoint: unknown words, prompts cut off, one layout for all."""
    sampling = stage.adapter.identity
    found = [
        *repetitions(prompts),
        *_other_tools(stage, prompts),
        *_lookalikes(prompts),
        *stage.adapter.warnings(prompts.distinct),
    ]
    if sampling.initial_noise == "shared" and not draws_noise(sampling.scheduler):
        name = scheduler_name(sampling.scheduler)
        found.append(
            f"initial_noise: shared with {name}, which draws no noise of its own, gives every image one "
            "layout; take per_root, or ddpm or euler_ancestral"
        )
    if (alone := _alone(prompts)) > len(prompts) / 2:
        found.append(
            f"{alone} of {len(prompts)} rows have a seed, a size or a negative prompt that no other row has; images "
            "share steps only where these are equal, so these rows save nothing"
        )
    return found


def repetitions(prompts: PromptSet) -> list[str]:
    """A sentence if rows were dropped because they say nothing new; nothing is known of prompts from the store."""
    rows = prompts.repetitions
    if not rows:
        return []
    repeat, are = ("row repeats", "is") if rows == 1 else ("rows repeat", "are")
    return [
        f"{rows:,} {repeat} another one exactly and {are} left out; a label or an id of its own keeps a row, and a "
        "seed gives it an image of its own"
    ]


def _alone(prompts: PromptSet) -> int:
    """How many rows have settings of their own that no other row has."""
    return sum(count == 1 for settings, count in Counter(prompts.settings).items() if settings)


def _other_tools(stage: Stage, prompts: PromptSet) -> Iterator[str]:
    """A sentence for each kind of another tool's syntax that prompts and negative prompts hold."""
    written = [*zip(prompts.ids, prompts.texts, strict=True)]
    for prompt_id, row in zip(prompts.ids, prompts.settings, strict=False):
        written.append((prompt_id, row.negative_prompt or ""))
    written.append(("diffusion.negative_prompt", stage.spec.diffusion.negative_prompt or ""))
    for example, (pattern, remedy) in _OTHER_TOOLS.items():
        if matches := [(place, match[0]) for place, text in written if (match := pattern.search(text))]:
            place, first = matches[0]
            hold = "1 prompt holds" if len(matches) == 1 else f"{len(matches):,} prompts hold"
            yield (
                f"{hold} syntax of other tools like {example}, such as {first[:60]!r} in {place!r}; the model reads "
                f"it as plain text: {remedy}"
            )


def _lookalikes(prompts: PromptSet) -> Iterator[str]:
    """A sentence if prompts hold zero-width or no-break characters; it names those that look like another prompt."""
    held = [text for text in prompts.distinct if not text.isascii() and _HIDDEN.search(text)]
    if not held:
        return
    id_of = dict(zip(reversed(prompts.texts), reversed(prompts.ids), strict=True))
    by_look: dict[str, list[str]] = defaultdict(list)
    for text in prompts.distinct:
        by_look[_HIDDEN.sub(lambda match: " " if match[0].isspace() else "", text).strip()].append(text)

    def shown(text: str) -> str:
        return f"{id_of[text]!r} ({_HIDDEN.sub(lambda match: f'<U+{ord(match[0]):04X}>', text)[:60]})"

    if groups := [group for group in by_look.values() if len(group) > 1]:
        rows = "; ".join(" and ".join(map(shown, group[: _SHOWN + 1])) for group in groups[:_SHOWN])
        rest = f"; and {len(groups) - _SHOWN:,} more" if len(groups) > _SHOWN else ""
        yield (
            f"{sum(map(len, groups)):,} prompts look like another one and differ only in zero-width or no-break "
            f"characters, so each gets its own images: {rows}{rest}"
        )
    else:
        hold = "1 prompt holds" if len(held) == 1 else f"{len(held):,} prompts hold"
        yield f"{hold} zero-width or no-break characters, which the model may read: {shown(held[0])}"
