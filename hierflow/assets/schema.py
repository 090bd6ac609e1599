"""The JSON schema of a document's attributes: what `dg check yaml`, editors and the component's page go by.

It is derived from the spec. What it says beyond that is there so that a fault is answered with what to write: a
validator prints the names that are allowed, the type that is asked for, and the description of what is forbidden.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

_SOURCES = ("file", "text", "template", "table")
_CRON = r"^(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|\S+ +\S+ +\S+ +\S+ +\S+)$"
_EXAMPLE = {
    "name": "my_set",
    "prompts": {"file": "prompts.txt"},
    "diffusion": {"model": "mini", "steps": 40},
    "sharing": {"tau": 0.6},
    "storage": {"path": "../../../../image_sets"},
}
_VARIABLE = r"^\{\{"  # of the environment: its value is checked when the document is loaded


def document_schema(model: type[BaseModel]) -> Schema:
    """The schema of `model` (an image set's spec, or a class derived from it), without references."""
    whole = model.model_json_schema()
    schema = _plain(whole, whole.get("$defs", {}))
    fields = schema["properties"]
    fields["prompts"] = _one_source(fields["prompts"])
    fields["schedule"] = _text_or_mapping(fields["schedule"])
    fields["diffusion"]["properties"]["batch_size"]["minimum"] = 1
    url = fields["storage"]["properties"]["url"]
    url["pattern"] = f"{url['pattern']}|{_VARIABLE}"
    return {**schema, "examples": [_EXAMPLE]}


def _plain(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """References replaced by what they refer to, `X or null` by one type, unknown names by the known ones."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].removeprefix("#/$defs/")]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    schema = {key: value for key, value in schema.items() if key not in ("$defs", "title")}
    if "anyOf" in schema:
        given, other = (_plain(one, definitions) for one in schema.pop("anyOf"))
        if "const" in other:
            other = {"type": other["type"], "pattern": f"^{other['const']}$"}
        elif other["type"] not in ("null", "object") or "properties" in other:
            raise TypeError(f"no schema for a field of either {given} or {other}")
        schema = {**given, **other, **schema, "type": [*_types(given), *_types(other)]}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            schema[key] = _plain(schema[key], definitions)
    if "properties" in schema:
        schema["properties"] = {name: _plain(field, definitions) for name, field in schema["properties"].items()}
        if schema.get("additionalProperties") is False:
            schema["propertyNames"] = {"enum": list(schema["properties"])}
    if schema.get("type") == "string" and not {"enum", "const", "pattern"} & schema.keys():
        schema["type"] = ["string", "number"]  # a number is the text it was written as
    return schema


def _types(schema: Schema) -> list[str]:
    return schema["type"] if isinstance(schema["type"], list) else [schema["type"]]


def _one_source(prompts: Schema) -> Schema:
    none = {"description": "no prompts; give one of file, text, template with axes, or table", "maxProperties": 0}
    return {**prompts, "not": none, "dependentSchemas": {one: _no_other(one) for one in _SOURCES[:-1]}}


def _no_other(source: str) -> Schema:
    """What refuses a second source by its name; a validator would print all prompts if it refused the mapping."""
    others = _SOURCES[_SOURCES.index(source) + 1 :]
    return {"propertyNames": {"not": {"description": f"a source beside {source}; keep one", "enum": list(others)}}}


def _text_or_mapping(schedule: Schema) -> Schema:
    return {**schedule, "type": ["string", "object", "null"], "pattern": _CRON}
