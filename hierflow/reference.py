"""The YAML reference, made from the spec: `python -m hierflow.reference > docs/reference.md`.

It goes by the schema that `dg check yaml` checks documents with, so it lists what is allowed and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from hierflow.assets.schema import Schema, document_schema
from hierflow.environment import FIELDS
from hierflow.spec import GROUP_PATTERN, NAME_PATTERN, SAFETENSORS_PATTERN, URL_PATTERN, ImageSetSpec
from hierflow.spec.running import POOL_PATTERN

EXAMPLE = """\
type: hierflow.ImageSet
attributes:
  name: spring_ads
  prompts:                        # one source; the others are: file | text | table
    template: "{style} of a {color} {product} on {background}"
    axes:
      style: [a photo, a watercolor]
      color: [red, blue]
      product: [mug, chair]
      background: [a wooden table, green grass]
  diffusion:
    model: kandinsky-community/kandinsky-2-2-decoder
    revision: main
    prior: kandinsky-community/kandinsky-2-2-prior
    prior_revision: main
    loras:
      - {model: studio/watercolor-lora, weight: 0.8, revision: main, file: watercolor.safetensors}
    steps: 40
    guidance_scale: 4.0
    negative_prompt: low quality
    scheduler: dpmpp_2m
    scheduler_options: {use_karras_sigmas: true}
    seed: 0
    images_per_prompt: 2
    height: 512
    width: 512
    initial_noise: per_root
    prior_steps: 25
    prior_guidance_scale: 4.0
    prior_seed: 0
    dtype: float16
    device: cuda
    deterministic: false
    batch_size: auto
    attention: flash
    channels_last: true
    compile: true
    vae_tiling: false
    offload: parts
    safety_check: CompVis/stable-diffusion-safety-checker
  embedding:
    from: sentence-transformers/all-MiniLM-L6-v2
    revision: main
  sharing:
    tau: 0.6
    linkage: ward
    tree: pinned
    graft_tolerance: 1.3
    max_regret: 0.35
    max_drift: 0.1
    checkpoint_every: 5
  scoring:
    metrics: [vqa, clip]
    vqa: {model: llava-hf/llava-1.5-7b-hf, revision: main, question: 'Is this "{prompt}"? Answer yes or no.'}
    clip: {model: openai/clip-vit-large-patch14, revision: main}
    baseline_sample: 64
    quality_floor: 0.45
    near_duplicate: 0.97
  partitions:
    max_prompts: 256
  storage:
    path: s3://pictures/sets
    options: {endpoint_url: https://s3.example.com, profile: studio}
    url: https://pictures.example.com/sets
    keep: branch_points
  cost:
    per_gpu_hour: 2.5
    per_kwh: 0.3
    currency: USD
  schedule:
    cron: "0 3 * * *"
    timezone: Europe/Vienna
  runs:
    max_concurrent: 4
    retries: 1
    on_change: false
    automation: false
    pool: gpu
    tags:
      team: studio
      subtrees: {dagster-k8s/config: {container_config: {resources: {limits: {nvidia.com/gpu: 1}}}}}
  assets:
    group: ads
    key_prefix: [studio]
    owners: ["team:studio", ann@example.com]
    tags: {campaign: spring}
    deps: [warehouse/products]
"""
"""A document in which every field is set, but those of the other prompt sources and of the other ways to find tau."""

_HEAD = """\
# The YAML reference

*Made from the spec by `python -m hierflow.reference > docs/reference.md`. Do not edit it by hand.*

A document has two keys: `type: hierflow.ImageSet`, and `attributes`, which this page lists. In a Dagster project it
is the `defs.yaml` of a component, and Dagster's own keys (`template_vars_module`, `requirements`, `post_processing`)
may stand beside them. Unknown fields, keys given twice and values out of range are refused before any work is done.

This document sets every field, but `sharing.budget` and `sharing.quality`, which stand in place of `tau`. Only `name`
and `prompts` must be there.

```yaml
{example}```

A field marked **required** must be given. Relative paths are relative to the document, and `~` is the home folder. In
{variables},
`{{{{ env.NAME }}}}` stands for an environment variable, and `{{{{ env('NAME', 'default') }}}}` for one that may be
missing. Everywhere else `{{{{` is a literal brace.

Text fields take `16:9`, `1.10` and `2024-01-01` as they are written. Without quotes they refuse `yes`, `no`, `on`,
`off`, `true` and `false`, and text in which YAML reads `{{`, `[` or `: ` as its own signs. Number fields take plain
decimal digits; they refuse `0123`, `1_000`, `12:30` and `0x10`, which YAML 1.1 reads as other numbers.
"""
_COLUMNS = "| field | value | default | what it says |\n|---|---|---|---|"
_PATTERNS = {
    NAME_PATTERN: "a letter, then up to 63 letters, digits and underscores",
    POOL_PATTERN: "a name without spaces",
    GROUP_PATTERN: "letters, digits, `_` and `/`",
    SAFETENSORS_PATTERN: "the name of a safetensors file",
    URL_PATTERN: "a URL that begins with `https://`, `http://` or `file://`",
}
_PAGES = {
    "prompts": ("Your first set", "first_set.md#a-document-of-your-own"),
    "embedding": ("Models", "models.md#what-the-tree-clusters-by"),
    "sharing": ("Choose tau", "first_set.md#choose-tau"),
    "scoring": ("Quality", "quality.md"),
    "storage": ("Storage", "storage.md"),
    "cost": ("The audit", "audit.md#time-energy-and-money"),
    "schedule": ("Schedule and reruns", "schedule_and_reruns.md"),
    "runs": ("Schedule and reruns", "schedule_and_reruns.md"),
    "assets": ("In your project", "in_your_project.md#several-sets-and-how-they-look"),
}
"""Where a section is explained."""
_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}


def reference() -> str:
    """The whole page, in Markdown."""
    schema = document_schema(ImageSetSpec)
    variables = ", ".join(f"`{section}.{field}`" for section, field in FIELDS[:-1])
    head = _HEAD.format(example=EXAMPLE, variables=f"{variables} and `{'.'.join(FIELDS[-1])}`")
    sections = {name: field for name, field in schema["properties"].items() if "properties" in field}
    plain = {name: field for name, field in schema["properties"].items() if name not in sections}
    return "\n".join([head, *_section("attributes", "", plain, schema), *_sections(sections)])


def _sections(sections: dict[str, Schema]) -> Iterator[str]:
    for name, section in sections.items():
        about = section["description"]
        if name in _PAGES:
            about += " See [{}]({}).".format(*_PAGES[name])
        yield from _section(name, about, section["properties"], section)


def _section(title: str, about: str, fields: dict[str, Schema], schema: Schema) -> Iterator[str]:
    required = schema.get("required", [])
    yield f"## {title}\n"
    if about:
        yield f"{about}\n"
    yield _COLUMNS
    yield from _rows("", fields, required)
    yield ""


def _rows(prefix: str, fields: dict[str, Schema], required: Sequence[str]) -> Iterator[str]:
    """A line a field; the fields of a mapping follow it."""
    for name, field in fields.items():
        default = "**required**" if name in required else _default(field["default"])
        cells = [f"`{prefix}{name}`", _value(field), default, field["description"]]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        if "properties" in field:
            yield from _rows(f"{prefix}{name}.", field["properties"], field.get("required", []))


def _value(field: Schema) -> str:
    """What may be written, in words."""
    if "properties" in field:
        return "mapping"
    if "enum" in field:
        return ", ".join(f"`{choice}`" for choice in field["enum"])
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    if kinds == ["integer", "string"]:
        return f"`{field['pattern'].strip('^$')}`, or a whole number, at least {field['minimum']:g}"
    kind = next(kind for kind in kinds if kind != "null")
    if kind == "array":
        return f"list of {_items(field['items'])}"
    if kind == "object":
        held = field["additionalProperties"]
        if held is True:
            return "values by name"
        if "object" in held["type"]:
            return "text or mappings by name"
        return "text by name" if "string" in held["type"] else "list of text by name"
    return _TYPES[kind] + _bounds(field)


def _items(item: Schema) -> str:
    if "enum" in item:
        return ", ".join(f"`{choice}`" for choice in item["enum"])
    if "properties" not in item:
        return _TYPES["string"]
    fields = [f"`{name}` ({_value(field)})" for name, field in item["properties"].items()]
    return f"mappings of {', '.join(fields)}"


def _bounds(field: Schema) -> str:
    if "pattern" in field:
        pattern = str(field["pattern"])
        return f": {next(words for known, words in _PATTERNS.items() if pattern.startswith(known))}"
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        return f", {low:g} to {_power(high)}"
    if low is not None:
        return f", at least {low:g}"
    if "maxLength" in field:
        return f", {field['minLength']} to {field['maxLength']} characters"
    return ""


def _power(bound: int) -> str:
    return "2^63 - 1" if bound == 2**63 - 1 else f"{bound:g}"


def _default(value: Any) -> str:
    if value in (None, [], {}) or isinstance(value, dict):
        return "none"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


if __name__ == "__main__":
    print(reference(), end="")
