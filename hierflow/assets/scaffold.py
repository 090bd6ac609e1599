"""What `dg scaffold defs hierflow.ImageSet NAME` writes: a document and its prompts, which run as they are."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import click
import dagster as dg
from pydantic import BaseModel, Field, field_validator

PROMPTS = """\
a photo of a red plain mug on a wooden table
a photo of a blue plain mug on a wooden table
a photo of a red striped mug on a wooden table
a photo of a blue striped mug on a wooden table
a photo of a red plain chair on green grass
a photo of a blue plain chair on green grass
a photo of a red striped chair on green grass
a photo of a blue striped chair on green grass
a line drawing of a red plain house under a starry night sky
a line drawing of a blue plain house under a starry night sky
a line drawing of a red striped house under a starry night sky
a line drawing of a blue striped house under a starry night sky
"""

_YAML = """\
# An image set, made by the job {name}.
# `dg check defs` checks this file. `dg launch --job {name}` begins; under `dg dev` the sensor
# {name}_continue goes on until all is made. `hierflow run` with this file makes it at once, without either.
type: {type}

attributes:
  name: {name}  # names the assets, the job, and the folder of the results

  prompts:
    {source}

  diffusion:  # a change here makes every image anew
    model: {model}  # mini ships with hierflow; or a Hugging Face hub id, or a folder: see docs/models.md
    steps: 40
    guidance_scale: 4.0
    seed: 0

  sharing:
    tau: 0.6  # 0 shares no denoising steps between prompts, more shares more; `hierflow plan` tells what it saves

  partitions:
    max_prompts: 256  # the prompts that one run denoises

  storage:
    path: {storage}  # relative to this file; or a URL such as s3://bucket/sets
    # path: "{{{{ env.IMAGE_SETS }}}}"  # an environment variable, here and in the other fields that name a place

  # schedule: "0 3 * * *"  # every night at three (UTC), or {{cron: "0 3 * * *", timezone: Europe/Vienna}}

  # cost:  # the audit then tells the price of what was computed
  #   per_gpu_hour: 2.5
  #   currency: USD

  # runs:
  #   max_concurrent: 1  # partitions at work at once: the number of GPUs
  #   retries: 1
  #   on_change: false  # true: make the set as soon as its prompts have changed

  # assets:  # how the set appears in Dagster
  #   group: {name}
  #   key_prefix: [studio]
  #   owners: ["team:studio"]
  #   tags: {{campaign: spring}}
"""

_PYTHON = '''\
"""An image set, described in Python. The job {name} makes it."""

import dagster as dg
from {module} import {class_name}
from hierflow.prompts import PromptSource
from hierflow.spec import DiffusionSpec, SharingSpec, StorageSpec


@dg.component_instance
def load(context: dg.ComponentLoadContext) -> {class_name}:
    return {class_name}(
        name="{name}",
        prompts=PromptSource({kind}="{file}"),
        diffusion=DiffusionSpec(model={quoted}, steps=40, guidance_scale=4.0, seed=0),
        sharing=SharingSpec(tau=0.6),
        storage=StorageSpec(path="{storage}"),  # relative to this file
    )
'''

_ABOUT = {
    "file": "one prompt a line; or text, template with axes, table",
    "table": "a prompt a row, in the column `prompt`; other columns are kept",
}


class ScaffoldParams(BaseModel):
    """What can be said beside the set's name."""

    model: str = Field("mini", description="The model: mini, a Hugging Face hub id, or a folder.")
    prompts: str | None = Field(
        None,
        description="A file of prompts to copy: text with one prompt a line, .csv or .parquet. "
        "By default twelve prompts that the embedded model draws.",
    )

    @field_validator("prompts")
    @classmethod
    def _readable(cls, prompts: str | None) -> str | None:
        # Here, before dg makes the folder; and dg prints an error of pydantic's as JSON.
        if prompts is not None and not Path(prompts).expanduser().is_file():
            raise click.ClickException(f"--prompts: {prompts!r} is not a file; give a file of prompts.")
        return prompts


class ImageSetScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Writes a document and prompts that run unedited; results go to `image_sets/` at the project's root."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        """The options of `dg scaffold defs hierflow.ImageSet`."""
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        """Write into `request.target_path`, in YAML or as a Python module."""
        folder = request.target_path
        kind, file = _write_prompts(folder, request.params.prompts)
        module, _, class_name = request.type_name.rpartition(".")
        model = request.params.model
        text = (_YAML if request.scaffold_format == "yaml" else _PYTHON).format(
            type=request.type_name,
            module=module,
            class_name=class_name,
            name=set_name(folder.name),
            kind=kind,
            file=file,
            source=f"{kind}: {file}  # {_ABOUT[kind]}",
            model=model if re.fullmatch(r"[\w./-]+", model) else json.dumps(model),
            quoted=json.dumps(model),
            storage=_storage(folder, request.project_root),
        )
        written = folder / ("defs.yaml" if request.scaffold_format == "yaml" else "component.py")
        written.write_text(text, "utf-8")


def set_name(folder: str) -> str:
    """A set's name after the folder of its document: letters, digits and underscores, a letter first."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", folder).strip("_")
    return (name if name[:1].isalpha() else f"set_{name}".rstrip("_"))[:64]


def _write_prompts(folder: Path, given: str | None) -> tuple[str, str]:
    """The prompt source's kind and file."""
    if given is None:
        (folder / "prompts.txt").write_text(PROMPTS, "utf-8")
        return "file", "prompts.txt"
    source = Path(given).expanduser()
    suffix = source.suffix.lower()
    kind, file = ("table", f"prompts{suffix}") if suffix in (".csv", ".parquet") else ("file", "prompts.txt")
    (folder / file).write_bytes(source.read_bytes())
    return kind, file


def _storage(folder: Path, project: Path | None) -> str:
    """A folder outside the Python package, which would otherwise hold the images of every set."""
    return os.path.relpath(project / "image_sets", folder).replace(os.sep, "/") if project else "./out"
