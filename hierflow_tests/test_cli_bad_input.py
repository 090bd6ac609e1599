"""Wrong input is refused in one sentence, before anything is written."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hierflow.tree import memory
from hierflow_tests.image_sets import FOUR, command, snapshot, write_document

TEMPLATE = "a {color} {product}"
AXES = {"color": ["red", "blue"], "product": ["mug"]}


@dataclass(frozen=True)
class Fault:
    """A document with one fault.

    Attributes:
        changes: to the attributes of a good document.
        says: what the sentence must name: field (or line), value and remedy.
        files: other files that lie beside the document.
        file: the file the sentence must name.
        verbs: the commands that refuse it.
    """

    changes: dict[str, Any]
    says: tuple[str, ...]
    files: dict[str, bytes] = field(default_factory=dict)
    file: str = "set.yaml"
    verbs: tuple[str, ...] = ("plan", "run", "status")


def _from_file(content: bytes, *says: str, name: str = "prompts.txt") -> Fault:
    return Fault({"prompts": {"file": name}}, says, {name: content}, name)


def _from_table(content: str, fields: dict[str, str], *says: str, file: str = "table.csv") -> Fault:
    return Fault({"prompts": {"table": "table.csv", **fields}}, says, {"table.csv": content.encode()}, file)


FAULTS = {
    "an empty prompt set": Fault({"prompts": {"text": []}}, ("prompts", "holds no prompts", "at least one")),
    "a file of blank lines": _from_file(b"\n  \n\n\t\n", "holds no prompts", "at least one"),
    "an empty file": _from_file(b"", "holds no prompts", "at least one"),
    "a prompt of 100,000 characters": _from_file(
        b"a mug\n" + b"x" * 100_000, "line 2", "xxxxx", "has 100000 characters", "shorten it"
    ),
    "invalid UTF-8": _from_file(b"a mug\na caf\xe9\n", "prompts.txt:2:", r"\xe9", "is not UTF-8", "save it"),
    "a binary file": _from_file(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary file", "save it"),
    "a file that does not exist": Fault(
        {"prompts": {"file": "gone.txt"}}, ("prompts.file", "'gone.txt'", "does not exist", "give a file's path")
    ),
    "an axis the template does not use": Fault(
        {"prompts": {"template": TEMPLATE, "axes": {**AXES, "size": ["big"]}}},
        ("prompts.axes.size", "'size'", "does not use", "remove the axis"),
    ),
    "an axis the template lacks": Fault(
        {"prompts": {"template": TEMPLATE, "axes": {"color": ["red"]}}},
        ("prompts.template", TEMPLATE, "no axis for {product}", "add it to the axes"),
    ),
    "an axis named like a column of the manifest": Fault(
        {"prompts": {"template": "a {status} mug", "axes": {"status": ["new"]}}},
        ("prompts.axes.status", "'status'", "column of the manifest", "rename"),
    ),
    "two sources": Fault(
        {"prompts": {"text": FOUR, "file": "prompts.txt"}}, ("prompts", "file, text", "several sources", "keep one")
    ),
    "no source": Fault({"prompts": {}}, ("prompts", "names no prompts", "give one of file, text")),
    "a table without the column": _from_table(
        "text,id\na mug,1\n", {"prompt_column": "caption"}, "'caption'", "text, id", "prompts.prompt_column"
    ),
    "a table without the column of ids": _from_table(
        "prompt\na mug\n", {"id_column": "sku"}, "'sku'", "prompt", "prompts.id_column"
    ),
    "one id for two prompts": _from_table(
        "prompt,id\na mug,1\na hat,1\n", {"id_column": "id"}, "'1'", "id of another prompt", "an id of its own"
    ),
    "tau below 0": Fault({"sharing": {"tau": -0.5}}, ("sharing.tau", "-0.5", "at least 0", "the height")),
    "tau not a number": Fault({"sharing": {"tau": float("nan")}}, ("sharing.tau", "nan", "the height")),
    "tau infinite": Fault({"sharing": {"tau": float("inf")}}, ("sharing.tau", "inf", "finite", "the height")),
    "tau as a word": Fault({"sharing": {"tau": "much"}}, ("sharing.tau", "'much'", "not a number", "the height")),
    "no steps": Fault({"diffusion": {"steps": 0}}, ("diffusion.steps", "0", "at least 1", "denoising steps")),
    "steps in fractions": Fault(
        {"diffusion": {"steps": 2.5}}, ("diffusion.steps", "2.5", "whole number", "denoising steps")
    ),
    "more steps than the sampler takes": Fault(
        {"diffusion": {"steps": 1000, "scheduler": "unipc"}},
        ("diffusion.steps", "1000", "more than the unipc scheduler can take", "fewer steps"),
    ),
    "an unknown linkage": Fault({"sharing": {"linkage": "single"}}, ("sharing.linkage", "'single'", "'ward'")),
    "an unknown scheduler": Fault(
        {"diffusion": {"scheduler": "magic"}}, ("diffusion.scheduler", "'magic'", "'ddpm'")
    ),
    "a model that is nothing": Fault(
        {"diffusion": {"model": "nonsense"}}, ("diffusion.model", "'nonsense'", "neither `mini`", "hub id looks like")
    ),
    "a model the hub does not have": Fault(
        {"diffusion": {"model": "nobody/nothing"}}, ("diffusion.model", "'nobody/nothing'", "hub", "check the id")
    ),
    "a folder that is no model": Fault(
        {"diffusion": {"model": "./"}}, ("diffusion.model", "model_index.json", "diffusers format")
    ),
    "an unknown field": Fault({"diffusion": {"stesp": 3}}, ("diffusion.stesp", "not a field", "did you mean steps")),
    "an unknown section": Fault({"shering": {}}, ("shering", "not a field", "did you mean sharing")),
    "a section that is no mapping": Fault({"sharing": [1]}, ("sharing", "[1]", "mapping")),
    "a name that is a path": Fault({"name": "../../x"}, ("name", "'../../x'", "is not a name", "letters")),
    "a device that does not exist": Fault(
        {"diffusion": {"device": "cuda:77"}}, ("diffusion.device", "'cuda:77'", "not a device", "`cpu`")
    ),
    "a device that is none": Fault(
        {"diffusion": {"device": "toaster"}}, ("diffusion.device", "'toaster'", "not a device", "`cpu`")
    ),
    "a storage that is a file": Fault(
        {"storage": {"path": "./taken"}}, ("storage.path", "taken", "is a file", "give a folder"), {"taken": b"text"}
    ),
    "a storage below a file": Fault(
        {"storage": {"path": "./taken/x"}}, ("storage.path", "taken", "lies in a file", "a folder"), {"taken": b""}
    ),
    "a judge that is not there": Fault(
        {"scoring": {"metrics": ["vqa"], "vqa": {"model": "./no/such"}}},
        ("scoring.vqa.model", "'./no/such'", "neither a folder nor a hub id"),
    ),
    "a model of a score that is not asked for": Fault(
        {"scoring": {"clip": {"model": "./no/such"}}},
        ("scoring.clip.model", "'./no/such'", "images are not given", "add clip to scoring.metrics"),
    ),
    "a revision of no model": Fault(
        {"scoring": {"metrics": ["clip"], "clip": {"revision": "v2"}}},
        ("scoring.clip.revision", "'v2'", "none is named", "name it: scoring.clip.model"),
    ),
    "a target by a score that is not asked for": Fault(
        {"sharing": {"tau": None, "quality": {"metric": "vqa", "max_loss": 0.1}}},
        ("sharing.quality.metric", "'vqa'", "not among the scores", "scoring.metrics: [vqa]"),
    ),
    "a target that the sample cannot show": Fault(
        {
            "prompts": {"text": [f"a mug with {number} stripes" for number in range(40)]},
            "sharing": {"tau": None, "quality": {"metric": "clip", "max_loss": 0.01, "sample": 16}},
        },
        ("sharing.quality.sample", "16", "40 prompts lose at most 0.01", "sample at least 39"),
        verbs=("plan", "run"),
    ),
    "a storage nobody speaks": Fault(
        {"storage": {"path": "gopher://x/y"}}, ("storage.path", "'gopher://x/y'", "cannot be opened", "give a folder")
    ),
}


@pytest.mark.parametrize(
    ("fault", "verb"),
    [pytest.param(fault, verb, id=f"{name}-{verb}") for name, fault in FAULTS.items() for verb in fault.verbs],
)
def test_a_fault_is_one_sentence_and_leaves_no_trace(tmp_path: Path, fault: Fault, verb: str) -> None:
    for name, content in fault.files.items():
        (tmp_path / name).write_bytes(content)
    document = write_document(tmp_path, **fault.changes)
    before = snapshot(tmp_path)

    ended = command(verb, document, "--json")

    assert ended.code == 2
    assert snapshot(tmp_path) == before
    (sentence,) = ended.stderr.splitlines()
    for part in (fault.file, *fault.says):
        assert part in sentence
    if fault.file == "set.yaml":
        assert "/set.yaml:" in sentence  # and a line
    assert len(sentence) < 600
    assert ended.json.keys() == {"error"}
    assert ended.json["error"] in sentence


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_rebuild_of_no_partition_is_refused_and_nothing_is_run(tmp_path: Path, verb: str) -> None:
    document = write_document(tmp_path)
    ended = command(verb, document, "--rebuild", "nonsense")
    assert ended.code == 2
    assert "--rebuild: 'nonsense' is not a partition of the set" in ended.stderr
    assert not (tmp_path / "out/trial/current.json").exists()


def test_without_json_nothing_is_printed_on_stdout(tmp_path: Path) -> None:
    ended = command("run", write_document(tmp_path, sharing={"tau": -1}))
    assert (ended.code, ended.stdout) == (2, "")
    assert len(ended.stderr.splitlines()) == 1


def _missing(folder: Path) -> Path:
    return folder / "none.yaml"


def _folder(folder: Path) -> Path:
    return folder


def _written(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "set.yaml"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_missing, ("none.yaml", "does not exist", "give the path")),
        (_folder, ("is a folder", "give the path")),
        (_written(b"type: [\n"), ("set.yaml:2: ", "is not valid YAML")),
        (_written(b""), ("set.yaml", "is not one YAML mapping", "type: hierflow.ImageSet")),
        (_written(b"- 1\n"), ("set.yaml", "is not one YAML mapping", "type: hierflow.ImageSet")),
        (_written(b"\xff\xfe\0"), ("set.yaml", "is UTF-16", "save it")),
        (_written(b"\0"), ("set.yaml", "is a binary file", "save it")),
        (_written(b"type: hierflow.Imageset\n"), ("set.yaml", "type", "'hierflow.Imageset'", "hierflow.ImageSet")),
        (_written(b"type: hierflow.ImageSet\n"), ("set.yaml", "name", "is missing")),
        (_written(b"type: hierflow.ImageSet\nattribute: {}\n"), ("set.yaml", "attribute", "did you mean attributes")),
        (_written(b"type: hierflow.ImageSet\nattributes: 7\n"), ("set.yaml", "attributes", "7", "mapping")),
        (_written(b"x: !!python/object/apply:os.getcwd []\n"), ("set.yaml", "is not valid YAML")),
    ],
)
def test_a_file_that_is_no_document_is_refused(
    tmp_path: Path, make: Callable[[Path], Path], says: tuple[str, ...]
) -> None:
    document = make(tmp_path)
    before = snapshot(tmp_path)
    ended = command("run", document, "--json")
    assert ended.code == 2
    assert snapshot(tmp_path) == before
    (sentence,) = ended.stderr.splitlines()
    for part in says:
        assert part in sentence
    assert ended.json["error"] in sentence


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc")
@pytest.mark.parametrize("verb", ["plan", "run", "status"])
def test_a_storage_that_cannot_be_written_is_refused(tmp_path: Path, verb: str) -> None:
    document = write_document(tmp_path, storage={"path": "/proc/hierflow/out"})
    before = snapshot(tmp_path)
    ended = command(verb, document, "--json")
    assert ended.code == 2
    assert snapshot(tmp_path) == before
    assert len(ended.stderr.splitlines()) == 1
    assert "set.yaml" in ended.stderr
    if verb != "status":  # which has nothing to write, and finds no run
        for part in ("storage.path", "/proc/hierflow/out", "give a folder"):
            assert part in ended.stderr


@pytest.mark.parametrize("verb", ["plan", "run", "status", "audit"])
def test_another_documents_set_is_not_touched(tmp_path: Path, verb: str) -> None:
    first, second = (
        write_document(tmp_path, "first.yaml"),
        write_document(tmp_path, "second.yaml", sharing={"tau": 2}),
    )
    assert command("plan", first).code == 0
    before = snapshot(tmp_path)
    ended = command(verb, second, "--json")
    assert ended.code == 2
    assert snapshot(tmp_path) == before
    (sentence,) = ended.stderr.splitlines()
    for part in ("second.yaml", "name", "'trial'", "first.yaml", "another name"):
        assert part in sentence


@pytest.mark.parametrize("verb", ["status", "audit"])
def test_there_is_nothing_to_tell_before_the_first_run(tmp_path: Path, verb: str) -> None:
    document = write_document(tmp_path)
    before = snapshot(tmp_path)
    ended = command(verb, document, "--json")
    assert ended.code == 2
    assert snapshot(tmp_path) == before
    (sentence,) = ended.stderr.splitlines()
    for part in ("set.yaml", "'trial'", "has not been run yet", "hierflow run"):
        assert part in sentence
    assert ended.json == {"error": sentence.removeprefix("hierflow: ")}


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_more_prompts_than_the_machine_can_cluster_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: memory.tree_bytes(3))
    document = write_document(tmp_path)
    ended = command(verb, document)
    assert ended.code == 2
    assert "prompts: 4 different prompts are too many for one tree" in ended.stderr
    assert not (tmp_path / "out").exists()
