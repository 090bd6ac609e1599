"""One way in: a prompt source becomes a prompt set."""

from __future__ import annotations

from pathlib import Path

from hierflow.prompts.prompt_set import PromptSet
from hierflow.prompts.rows import SourceRows, checked_set
from hierflow.prompts.source import PromptSource, chosen_kind
from hierflow.prompts.template import expand_template
from hierflow.prompts.text_files import find_file, read_lines


def load_prompts(source: PromptSource, base: Path | str) -> PromptSet:
    """Read, expand and check the prompts that `source` names.

    Prompts are stripped at both ends and otherwise kept. Rows keep their order. Ids from a table's
    `id_column` survive an edit of their prompt; elsewhere an id is the first 16 hex digits of the hash of the text
    and what the row sets, and, for a row whose text and settings occurred before, of its labels too. An exact
    repetition of a row is dropped and counted.

    Args:
        source: the prompts' part of a document.
        base: the document's folder; relative paths are relative to it.

    Raises:
        InputError: the source, a file or a prompt is wrong. An error about the document itself names no
            file; the caller, who knows it, adds it with :meth:`InputError.located`.
    """
    return checked_set(_rows(source, Path(base)))


def _rows(source: PromptSource, base: Path) -> SourceRows:
    kind = chosen_kind(source)
    written: str = getattr(source, kind)
    if kind == "template":
        return expand_template(written, source.axes)
    if kind == "text":
        return SourceRows(texts=source.text or [], place=lambda row: f"prompts.text[{row}]")
    file = find_file(written, base, f"prompts.{kind}")
    if kind == "file":
        return read_lines(file)
    from hierflow.prompts.tables import read_table  # pyarrow, which listing a code location's assets does without

    return read_table(file, source.prompt_column, source.id_column)
