"""`{{ env.NAME }}` in the fields of a document that name places.

It means what it means in every other Dagster component, on the command line too. Only these fields know it: in a
prompt template `{{` is a literal brace.
"""

from __future__ import annotations

import os
import re
from typing import Any

from hierflow.errors import InputError

FIELDS = (
    ("prompts", "file"),
    ("prompts", "table"),
    ("diffusion", "model"),
    ("diffusion", "prior"),
    ("diffusion", "safety_check"),
    ("embedding", "from"),
    ("storage", "path"),
    ("storage", "url"),
)
"""Section and field in which variables are replaced, beside `storage.options`."""

_BRACES = re.compile(r"\{\{.*?\}\}")
_NAME = re.compile(r"\{\{\s*env\.(?P<name>\w+)\s*\}\}")
_CALL = re.compile(
    r"""\{\{\s*env\(\s*(?P<q>['"])(?P<name>\w+)(?P=q)\s*(?:,\s*(?P<p>['"])(?P<default>[^'"]*)(?P=p)\s*)?\)\s*\}\}"""
)


def with_environment(attributes: Any) -> Any:
    """The attributes of a document, as written, with environment variables in place of their names.

    Args:
        attributes: whatever YAML held there. `{{ env.NAME }}`, `{{ env('NAME') }}` and
            `{{ env('NAME', 'default') }}` are replaced, anywhere in the text of :data:`FIELDS`; and in every text
            below `storage.options`.

    Raises:
        InputError: a variable is not set, or braces hold something else.
    """
    if not isinstance(attributes, dict):
        return attributes
    replaced = dict(attributes)
    for section, field in FIELDS:
        fields = replaced.get(section)
        if isinstance(fields, dict) and isinstance(fields.get(field), str):
            replaced[section] = {**fields, field: _resolved(fields[field], f"{section}.{field}")}
    storage = replaced.get("storage")
    if isinstance(storage, dict) and isinstance(storage.get("options"), dict):
        replaced["storage"] = {**storage, "options": _resolved_below(storage["options"], "storage.options")}
    return replaced


def _resolved_below(value: Any, field: str) -> Any:
    """A text, or the texts of a mapping; anything else stays."""
    if isinstance(value, dict):
        return {name: _resolved_below(one, f"{field}.{name}") for name, one in value.items()}
    return _resolved(value, field) if isinstance(value, str) else value


def _resolved(text: str, field: str) -> str:
    def value(braces: re.Match[str]) -> str:
        match = _NAME.fullmatch(braces[0]) or _CALL.fullmatch(braces[0])
        if match is None:
            raise InputError(
                f"holds {braces[0]}, which is not an environment variable",
                field=field,
                value=text,
                remedy="write {{ env.NAME }} or {{ env('NAME', 'default') }}",
            )
        name, default = match["name"], match.groupdict().get("default")
        found = os.environ.get(name, default)
        if found is None:
            raise InputError(
                f"needs the environment variable {name}, which is not set",
                field=field,
                value=text,
                remedy=f"set {name}, or write {{{{ env('{name}', 'default') }}}}",
            )
        return found

    return _BRACES.sub(value, text)
