"""Errors a user can act on.

Everything a user can get wrong is reported as one :class:`InputError` with one sentence that names the
file, the field, the value and the remedy. The command line turns it into exit code 2.
"""

from __future__ import annotations

from pathlib import Path

_SHOWN = 80


class HierflowError(Exception):
    """Base class of every error hierflow raises on purpose."""


class InputError(HierflowError, ValueError):
    """The input is wrong, and nothing has been written.

    Args:
        problem: what is wrong, without a full stop ("is not a whole number of at least 1").
        file: the file that holds the fault, if it lies in one.
        line: the line of `file` that holds it, counted from 1, where that is known; it follows the file's name.
        field: the dotted path of the field in the document, or a column or line of the file.
        value: the offending value; long values are shortened.
        remedy: what to do instead, as an imperative without a full stop.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
        value: object = None,
        remedy: str | None = None,
    ) -> None:
        self.problem, self.file, self.line = problem, file, line
        self.field, self.value, self.remedy = field, value, remedy
        super().__init__(self._sentence())

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt, (self.problem, self.file, self.line, self.field, self.value, self.remedy)

    def located(self, file: str | Path, line: int | None = None) -> InputError:
        """The same error, placed in `file` (and there at `line`) unless it names a file already."""
        if self.file:
            return self
        return _rebuilt(self.problem, file, line, self.field, self.value, self.remedy)

    def _sentence(self) -> str:
        file = f"{self.file}:{self.line}" if self.file and self.line else self.file
        where = ": ".join(str(part) for part in (file, self.field) if part)
        what = self.problem if self.value is None else f"{_shown(self.value)} {self.problem}"
        sentence = (f"{where}: {what}" if where else what).replace("\n", " ")
        return f"{sentence}; {self.remedy}." if self.remedy else f"{sentence}."


class RunError(HierflowError):
    """A run failed after it had started; what was finished before is kept."""


def _rebuilt(
    problem: str, file: str | Path | None, line: int | None, field: str | None, value: object, remedy: str | None
) -> InputError:
    return InputError(problem, file=file, line=line, field=field, value=value, remedy=remedy)


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}…{text[1 - _SHOWN // 2 :]}"
