"""What is supported, from the adapters and the suite: `python -m hierflow_tests.models.families.support`.

Prints the part of `docs/models.md` between its two markers.
"""

from __future__ import annotations

from collections.abc import Iterator

from hierflow.models.families import FAMILIES, Family
from hierflow_tests.models.families import test_every_family
from hierflow_tests.models.families.cases import CASES

BEGIN, END = "<!-- support: begin -->", "<!-- support: end -->"
_HEAD = (
    "family",
    "pipeline",
    "usual guidance",
    "negative prompt",
    "own prior",
    "on a GPU",
    "tiny models in the suite",
)
_ELSEWHERE = {"KandinskyV22Pipeline": "its own suite"}
"""Kandinsky's prior lies in a repository of its own, and its tests are older than the suite."""


def support() -> str:
    """The table of families, and what the suite shows of each."""
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(family) for family in FAMILIES.values())]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    shown = "\n".join(f"- {sentence}" for sentence in _sentences())
    return f"{BEGIN}\n{table}\n\nEvery tiny model shows:\n\n{shown}\n{END}"


def _row(family: Family) -> tuple[str, ...]:
    adapter = family.adapter_class()
    cases = [case.name for case in CASES if case.pipeline == family.pipeline]
    has_prior = any(name.startswith("prior") for name in family.encoders)
    return (
        family.title,
        f"`{family.pipeline}`",
        f"{family.guidance_scale:g}",
        "yes" if adapter.takes_negative else "no",
        "yes" if has_prior else "no",
        family.half,
        ", ".join(cases) or _ELSEWHERE[family.pipeline],
    )


def _sentences() -> Iterator[str]:
    """The suite's tests by their names, in their order."""
    for name in vars(test_every_family):
        if name.startswith("test_"):
            yield name.removeprefix("test_").replace("_", " ")


if __name__ == "__main__":
    print(support())
