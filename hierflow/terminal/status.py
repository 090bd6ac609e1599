"""`hierflow status` in words."""

from __future__ import annotations

from typing import Any

from hierflow.terminal.summary import images, places, quality_rows, space
from hierflow.terminal.text import laid_out, listed, printable, volume

_SENTENCE = 400
_STATES = 20
"""Partitions told of; the rest is counted."""


def describe_status(found: dict[str, Any]) -> str:
    """`hierflow status` in words."""
    left = found["partitions"]["to_run"]
    conditions = ", ".join(f"{count} {name}" for name, count in found["conditions"].items())
    to_run = ("to run", f"{len(left)} of {found['partitions']['total']} partitions" + listed(left))
    rows = [
        ("images", images(found)),
        ("partitions", conditions),
        to_run,
        ("saved", f"{found['saved']:.1%}"),
        ("embedding", printable(found["clustered_by"])),
        *quality_rows(found["quality"]),
        ("space", f"{space(found['bytes'])}; {volume(found['bytes_a_prompt']['all'])} a prompt"),
        *places(found, "gallery", "manifest"),
    ]
    if found["at_work"]:
        rows.insert(1, ("at work", found["at_work"]))
    if found["edited"]:
        since = f"{', '.join(found['edited'])}: `hierflow plan` shows what a run would do about it"
        rows.insert(rows.index(to_run), ("edited", since))
    states = [state for state in found["states"] if state["state"] != "fresh"]
    told = "".join(f"\n{line}" for state in states[:_STATES] for line in _state(state))
    more = f"\nand {len(states) - _STATES} more partitions; --json has them all" if len(states) > _STATES else ""
    failures = "".join(
        f"\n{row['status']}: {printable(row['prompt_id'])}, {printable(row['prompt'])!r}: "
        f"{printable(row['error'], _SENTENCE)}"
        for row in found["failed"][:20]
    )
    return laid_out(found["name"], rows) + told + more + failures


def _state(state: dict[str, Any]) -> list[str]:
    """A partition that is not fresh: what it is, of which prompts, and what makes it go on."""
    shown = ", ".join(repr(printable(prompt)) for prompt in state["such_as"])
    more = f" and {state['prompts'] - len(state['such_as'])} more" if state["prompts"] > len(state["such_as"]) else ""
    prompts = f"{shown}{more}: " if shown else ""
    lines = [f"{state['state']}: {state['partition']}: {prompts}{printable(state['cause'], _SENTENCE)}"]
    return lines + ([f"  goes on with {state['goes_on']}"] if state["state"] == "waiting" else [])
