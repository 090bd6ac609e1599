"""The prompts of one image set, checked and in order."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hierflow.hashing import digest, text_hash
from hierflow.prompts.settings import SETTINGS, RowSettings

if TYPE_CHECKING:
    import pyarrow as pa

RESERVED_COLUMNS = frozenset(
    {
        *SETTINGS,
        *("prompt_id", "image_index", "prompt", "text_hash", "partition", "node_path"),
        *("image_path", "image_sha256", "evaluations", "evaluations_paid", "run_id"),
        *("scores", "status", "error"),
    }
)
"""Columns of the manifest: no label may take their names. Those of :data:`SETTINGS` come from the prompts."""

_OWN_COLUMNS = ("prompt_id", "prompt", "text_hash")


@dataclass(frozen=True, eq=True)
class PromptSet:
    """Rows of (id, text, columns) in source order; ids are unique, texts need not be.

    What is generated is the set's *distinct* texts; a row is what the user asked for and what the manifest
    lists. Rows that share a text differ in their ids, labels or settings.

    Args:
        ids: one a row, unique, any text.
        texts: the prompt of each row.
        columns: axes or the table's other columns: name -> one value a row, of one type a column.
        settings: what each row sets for its own images; empty if no row does.
        repetitions: how many rows the source had beside, each an exact repetition of one of these. No part of the
            content: a set that comes from a table has none.

    Raises:
        ValueError: lengths differ, an id occurs twice, or a column has a name of the manifest's own.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    columns: dict[str, tuple[Any, ...]] = field(default_factory=dict, hash=False)
    settings: tuple[RowSettings, ...] = ()
    repetitions: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        lengths = {len(self.ids), len(self.texts), *(len(column) for column in self.columns.values())}
        lengths |= {len(self.settings)} if self.settings else set()
        if len(lengths) != 1:
            raise ValueError(f"ids, texts and columns need one value a row, got lengths {sorted(lengths)}")
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("ids need to be unique")
        if taken := RESERVED_COLUMNS.intersection(self.columns):
            raise ValueError(f"columns {sorted(taken)} have names of the manifest's own columns")

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.ids)

    @cached_property
    def distinct(self) -> tuple[str, ...]:
        """The distinct texts, in order of first appearance."""
        return tuple(dict.fromkeys(self.texts))

    @cached_property
    def hashes(self) -> tuple[str, ...]:
        """`text_hash` of each of `distinct`."""
        return tuple(text_hash(text) for text in self.distinct)

    def settings_of(self, row: int) -> RowSettings:
        """What row `row` sets for its own images."""
        return self.settings[row] if self.settings else RowSettings()

    def rows_of(self, text_hash: str) -> tuple[int, ...]:
        """The rows, ascending, whose text has this hash; KeyError where there is none."""
        return self._rows_by_hash[text_hash]

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (64 hex digits) of ids, texts, columns and settings in their order."""
        columns = [[name, [json_value(value) for value in column]] for name, column in self.columns.items()]
        settings = [[[getattr(row, name) for name in SETTINGS] for row in self.settings]] if self.settings else []
        return digest(self.ids, self.texts, columns, *settings)

    def to_table(self) -> pa.Table:
        """One row a prompt: prompt_id, prompt, text_hash (text), then the settings, if any, and the columns."""
        import pyarrow as pa

        hash_of = dict(zip(self.distinct, self.hashes, strict=True))
        own = {
            "prompt_id": pa.array(self.ids, pa.string()),
            "prompt": pa.array(self.texts, pa.string()),
            "text_hash": pa.array([hash_of[text] for text in self.texts], pa.string()),
        }
        if self.settings:
            types = {name: pa.string() if name == "negative_prompt" else pa.int64() for name in SETTINGS}
            own |= {name: pa.array([getattr(row, name) for row in self.settings], types[name]) for name in SETTINGS}
        return pa.table(own | {name: _arrow(column) for name, column in self.columns.items()})

    @classmethod
    def from_table(cls, table: pa.Table) -> PromptSet:
        """The set that :meth:`to_table` made `table` of.

        Raises:
            ValueError: a column is missing, a text does not have its recorded hash, or rows break the
                class's own rules.
        """
        if missing := [name for name in _OWN_COLUMNS if name not in table.column_names]:
            raise ValueError(f"not a table of prompts: it has no column {', '.join(missing)}")
        values = {name: tuple(table.column(name).to_pylist()) for name in table.column_names}
        ids, texts, recorded = (values.pop(name) for name in _OWN_COLUMNS)
        settings = [values.pop(name) for name in SETTINGS if name in values]
        rows = tuple(RowSettings(*row) for row in zip(*settings, strict=True))
        prompts = cls(ids=ids, texts=texts, columns=values, settings=rows)
        hash_of = dict(zip(prompts.distinct, prompts.hashes, strict=True))
        for prompt_id, text, recorded_hash in zip(ids, texts, recorded, strict=True):
            if hash_of[text] != recorded_hash:
                raise ValueError(f"the text of prompt {prompt_id!r} does not have its recorded hash")
        return prompts

    @cached_property
    def _rows_by_hash(self) -> dict[str, tuple[int, ...]]:
        rows: dict[str, list[int]] = {text: [] for text in self.distinct}
        for row, text in enumerate(self.texts):
            rows[text].append(row)
        return {key: tuple(rows[text]) for key, text in zip(self.hashes, self.distinct, strict=True)}


def _arrow(column: tuple[Any, ...]) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array(column)
    except OverflowError:  # pyarrow takes whole numbers for signed ones
        return pa.array(column, pa.uint64())


def json_value(value: Any) -> Any:
    """`value` where JSON can say it, else its text (dates, decimals, NaN)."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return str(value)
