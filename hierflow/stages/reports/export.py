"""Exports a set's images by prompt id: copies or hard links in a local folder, with a manifest of their names."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hierflow.errors import InputError, RunError
from hierflow.hashing import bytes_digest, text_hash
from hierflow.images import ImageRow, build_manifest, manifest_bytes
from hierflow.naming import RESERVED, slug
from hierflow.plan.compiled import CompiledPlan
from hierflow.stages.context import Stage
from hierflow.stages.reports.image_set import MANIFEST, assembled
from hierflow.store.storage import Storage

_PLAIN = re.compile(r"\w(?:[\w .,+=@()~-]*[\w+=@)~-])?")
_SET = b"hierflow.set"
"""Names the set in the metadata of an exported manifest."""
_LONGEST = 180
"""Bytes of an id that is a file name as it is; the temporary name of its file is longer and has to fit, too."""
_CHUNK = 32
"""Files read at once; object stores answer many requests in the time of one."""


@dataclass(frozen=True)
class Export:
    """What :func:`export_images` did.

    Attributes:
        name: the set.
        directory: the folder, absolute.
        copied, linked, unchanged: images that were written, and those that were there.
        complete: whether every image of the set is exported.
        manifest: the path of the manifest, whose `image_path` are names in the folder.
        others: PNG files in the folder that are no images of the set, such as those of removed prompts.
    """

    name: str
    directory: str
    copied: int
    linked: int
    unchanged: int
    complete: bool
    manifest: str
    others: int

    def as_json(self) -> dict[str, object]:
        """For `hierflow export --json`."""
        return {
            "name": self.name,
            "directory": self.directory,
            "images": self.copied + self.linked + self.unchanged,
            "copied": self.copied,
            "linked": self.linked,
            "unchanged": self.unchanged,
            "complete": self.complete,
            "manifest": self.manifest,
        }


def export_images(
    stage: Stage, compiled: CompiledPlan, directory: str, *, partial: bool = False, link: bool = False
) -> Export:
    """Write the current images into a local folder, as `<id>.png`, or `<id>-<index>.png` where prompts have several.

    Files that are there with the same bytes stay; nothing is deleted.

    Args:
        stage: the set.
        compiled: its plan.
        directory: the folder; it is made if it does not exist.
        partial: whether a set some of whose images have not been made may be exported.
        link: make hard links instead of copies.

    Raises:
        InputError: the set is not complete, the folder cannot be used, files of other content lie there under the
            names of images, or links are impossible. Nothing has been written.
        RunError: a stored image is lost or damaged; the others have been exported.
    """
    prompts = stage.store.prompts.load(compiled.document.prompts)
    made = assembled(stage, compiled, prompts)
    if not (made.complete or partial):
        raise InputError(
            f"is not complete: {made.current:,} of {len(made.rows):,} images are made",
            field="name",
            value=stage.spec.name,
            remedy="run it first, or export what there is with --partial",
        )
    folder, files = _check_folder(stage, directory, link), stage.store.files
    target, names = Storage(folder), export_names(made.rows)
    rows = {name: row for name, row in zip(names, made.rows, strict=True) if row.status == "current"}
    missing = _missing_files(stage.spec.name, folder, rows)
    lost: list[str] = []
    progress = stage.progress("exporting images", len(missing))
    for name, path, data in _read_images(stage, [(name, rows[name].image_path) for name in missing]):
        if data is None or bytes_digest(data) != rows[name].image_sha256:
            stage.say(f"{files.url(path)} is lost or damaged")
            lost.append(path)
        elif link:
            _link(files.url(path), folder / name)
        else:
            target.write(name, data)
        progress.advance(1)
    progress.close()
    if lost:
        raise RunError(
            f"{len(lost)} of {len(rows)} images are lost or damaged, such as {lost[0]}; delete these files and run "
            "the set, which makes them again; the other images have been exported"
        )
    exported = [
        replace(row, image_path=name) if name in rows else replace(row, image_path="", image_sha256="")
        for name, row in zip(names, made.rows, strict=True)
    ]
    manifest = build_manifest(exported, list(prompts.columns)).replace_schema_metadata({_SET: stage.spec.name})
    target.write(MANIFEST, manifest_bytes(manifest))
    others = {path.name for path in folder.glob("*.png")} - rows.keys()
    return Export(
        name=stage.spec.name,
        directory=str(folder),
        copied=0 if link else len(missing),
        linked=len(missing) if link else 0,
        unchanged=len(rows) - len(missing),
        complete=made.complete,
        manifest=str(folder / MANIFEST),
        others=len(others),
    )


def export_names(rows: Sequence[ImageRow]) -> list[str]:
    """The file name of each row's image: `<id>.png`, or `<id>-<index>.png` where prompts have several.

    An id that is no file name on every system, or differs from another one only by case, is spelled as its slug and
    12 digits of its hash.
    """
    ids = Counter(_fold(prompt_id) for prompt_id in {row.prompt_id for row in rows})
    has_several = any(row.image_index for row in rows)

    def spell(prompt_id: str) -> str:
        is_plain = _is_file_name(prompt_id) and ids[_fold(prompt_id)] == 1
        return prompt_id if is_plain else f"{slug(prompt_id)}-{text_hash(prompt_id)[:12]}"

    names = [
        f"{spell(row.prompt_id)}-{row.image_index}.png" if has_several else f"{spell(row.prompt_id)}.png"
        for row in rows
    ]
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise InputError("is the file name of two images", value=twice, remedy="give the prompts other ids")
    return names


def _is_file_name(prompt_id: str) -> bool:
    is_normal = unicodedata.is_normalized("NFC", prompt_id) and len(prompt_id.encode()) <= _LONGEST
    return is_normal and bool(_PLAIN.fullmatch(prompt_id)) and prompt_id.split(".")[0].casefold() not in RESERVED


def _fold(prompt_id: str) -> str:
    return unicodedata.normalize("NFC", prompt_id.casefold())


def _check_folder(stage: Stage, directory: str, link: bool) -> Path:
    """The folder to export into, absolute.

    Raises:
        InputError: it cannot be used.
    """

    def refusal(problem: str, remedy: str) -> InputError:
        return InputError(problem, file="DIR", value=directory, remedy=remedy)

    if "://" in directory:
        raise refusal("is a URL", "give a local folder")
    try:
        folder = Path(directory).expanduser().resolve()
        Storage(folder).check(writes=True)
    except InputError as error:
        raise refusal(error.problem, "give a folder that can be written to") from error
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL in it, the home of nobody
        raise refusal(f"is not a path ({error})"[:200], "give a folder that can be written to") from error
    files = stage.store.files
    if files.is_local and folder.is_relative_to(Path(files.url()).resolve()):
        raise refusal("lies in the set's own folder", "give another folder")
    if link and not files.is_local:
        raise refusal(f"cannot hold hard links to {files.url()}", "leave out --link")
    if link and _device(folder) != _device(Path(files.url())):
        raise refusal("is on another device than the images, where hard links are impossible", "leave out --link")
    return folder


def _device(path: Path) -> int:
    """The device of a path, or of the nearest thing above it that exists."""
    return next(each.stat().st_dev for each in (path, *path.parents) if each.exists())


def _missing_files(name: str, folder: Path, rows: Mapping[str, ImageRow]) -> list[str]:
    """The names of images that are not in the folder yet.

    Raises:
        InputError: there is something else under the name of an image or of the manifest.
    """
    missing = [file for file in rows if not os.path.lexists(folder / file)]
    foreign = [file for file in rows.keys() - set(missing) if _digest(folder / file) != rows[file].image_sha256]
    if os.path.lexists(folder / MANIFEST) and _set_of(folder / MANIFEST) != name:
        foreign.append(MANIFEST)
    if foreign:
        shown = ", ".join(sorted(foreign)[:3]) + (" ..." if len(foreign) > 3 else "")
        raise InputError(
            f"holds other content under {len(foreign)} of the names: {shown}",
            file="DIR",
            value=str(folder),
            remedy="export into another folder, or move these files away",
        )
    return missing


def _digest(path: Path) -> str:
    return bytes_digest(path.read_bytes()) if path.is_file() else ""


def _set_of(manifest: Path) -> str:
    """The set of an exported manifest; empty if it is no such manifest."""
    try:
        metadata = pq.read_schema(manifest).metadata or {}
    except (OSError, pa.ArrowException):
        return ""
    return str(metadata.get(_SET, b"").decode("utf-8", "replace"))


def _read_images(stage: Stage, paths: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, bytes | None]]:
    """The bytes of stored images after their names and paths; None where a file is gone."""
    for start in range(0, len(paths), _CHUNK):
        chunk = paths[start : start + _CHUNK]
        found = stage.store.files.read_all([path for _, path in chunk])
        yield from ((name, path, found.get(path)) for name, path in chunk)


def _link(source: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError as error:
        raise RunError(f"{target} cannot be a hard link to {source} ({error.strerror}): leave out --link") from error
