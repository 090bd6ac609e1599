"""Where prompts come from, as a user's document says it."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from hierflow.errors import InputError

Kind = Literal["file", "text", "template", "table"]
_KINDS: tuple[Kind, ...] = ("file", "text", "template", "table")


def _as_written(value: Any, place: str) -> Any:
    """A YAML number as the text it was written as, where that text is certain; anything else unchanged.

    Raises:
        ValueError: the text is lost. YAML 1.1 reads `no`, `off` and `false` as one truth value, and a prompt
            that says "false" where the document says "no" would be generated before anybody noticed.
    """
    if isinstance(value, bool):
        raise ValueError(
            f"{place}: YAML reads yes, no, on, off, true and false as truth values "
            f"(here {str(value).lower()}); put the word in quotes"
        )
    if isinstance(value, float) and (not math.isfinite(value) or "e" in repr(value)):
        raise ValueError(f"{place}: {value!r} may not be how the number was written; put it in quotes")
    return repr(value) if isinstance(value, int | float) else value


class PromptSource(BaseModel):
    """Exactly one of `file`, `text`, `template` with `axes`, and `table`; :func:`load_prompts` reads it.

    Validation checks types only. Whether one source was chosen, and what it holds, is for
    :func:`hierflow.prompts.load_prompts`, so that every such fault is one :class:`InputError`.
    YAML's numbers in `text` and `axes` become text.
    """

    model_config = ConfigDict(extra="forbid")

    file: str | None = Field(
        default=None,
        description="A UTF-8 text file with one prompt a line; blank lines are skipped. A path, relative to the "
        "document, or any fsspec URL, which is opened with the credentials of the environment.",
    )
    text: list[str] | None = Field(default=None, description="The prompts themselves, as a list.")
    template: str | None = Field(
        default=None,
        description="A prompt with {axis} placeholders, expanded over every combination of the axes' values. "
        "A literal brace is written twice: {{ or }}.",
    )
    axes: dict[str, list[str]] | None = Field(
        default=None,
        description="The values of each placeholder of the template. The last axis varies fastest, and every "
        "axis becomes a column of the manifest.",
    )
    table: str | None = Field(
        default=None,
        description="A .csv or .parquet file with one prompt a row; its other columns are kept in the manifest. Rows "
        "whose cells are all blank are left out. A path or a URL, as for `file`.",
    )
    prompt_column: str = Field(default="prompt", description="The table's column that holds the prompts.")
    id_column: str | None = Field(
        default=None,
        description="The table's column that holds the prompts' ids. An id stays the same when its prompt is "
        "edited; without ids, a row's id follows from its text and, where another row has the same text, its labels.",
    )

    # Validators of whole fields, as Dagster nests only plainly typed models (no Annotated items).
    @field_validator("text", mode="before")
    @classmethod
    def _text_as_written(cls, items: Any) -> Any:
        if not isinstance(items, list):
            return items
        # A null item becomes blank, and so meets the check of prompts that names its place.
        return ["" if item is None else _as_written(item, f"item {at}") for at, item in enumerate(items)]

    @field_validator("axes", mode="before")
    @classmethod
    def _axes_as_written(cls, axes: Any) -> Any:
        if not isinstance(axes, dict):
            return axes
        return {
            name: [_as_written(value, f"axis {name}") for value in values] if isinstance(values, list) else values
            for name, values in axes.items()
        }


def chosen_kind(source: PromptSource) -> Kind:
    """The one kind of source that `source` names.

    Raises:
        InputError: it names none or several, or sets a field that belongs to another kind.
    """
    given = [kind for kind in _KINDS if getattr(source, kind) is not None]
    if not given:
        raise InputError(
            "names no prompts", field="prompts", remedy="give one of file, text, template with axes, or table"
        )
    if len(given) > 1:
        raise InputError(
            "are several sources at once", field="prompts", value=", ".join(given), remedy="keep one of them"
        )
    kind = given[0]
    _refuse_stray_fields(source, kind)
    return kind


def _refuse_stray_fields(source: PromptSource, kind: Kind) -> None:
    if kind != "template" and source.axes is not None:
        raise InputError(
            f"belong to a template, and the prompts come from {kind}",
            field="prompts.axes",
            value=", ".join(source.axes),
            remedy="remove them, or give a template",
        )
    default = PromptSource.model_fields["prompt_column"].default
    stray = {"id_column": source.id_column, "prompt_column": source.prompt_column}
    for field, value in stray.items():
        if kind != "table" and value not in (None, default):
            raise InputError(
                f"names a column of a table, and the prompts come from {kind}",
                field=f"prompts.{field}",
                value=value,
                remedy="remove it, or give a table",
            )
