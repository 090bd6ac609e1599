"""Judging the pictures of a manifest by what their prompts mention."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hierflow.mini.catalogue.grammar import Attributes, Mentions, is_held_out, prompt_for
from hierflow.mini.catalogue.render import render
from hierflow.mini.evaluation.judges import as_markdown
from hierflow.mini.evaluation.manifest import evaluate_manifest, mentioned_accuracy, read_manifest
from hierflow.mini.evaluation.prompts import catalogue

RED_MUG = Attributes(product=0, color=0, pattern=0, background=0, style=1)
BLUE_CAR = Attributes(product=8, color=4, pattern=1, background=7, style=1)


def write_manifest(folder: Path, rows: list[tuple[str, str | None]]) -> Path:
    path = folder / "manifest.parquet"
    prompts, image_paths = zip(*rows, strict=True)
    pq.write_table(pa.table({"prompt": prompts, "image_path": pa.array(image_paths, pa.string())}), path)
    return path


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for name, attributes in (("mug", RED_MUG), ("car", BLUE_CAR)):
        Image.fromarray(render(attributes, rng)).save(tmp_path / "images" / f"{name}.png")
    return write_manifest(
        tmp_path,
        [
            (prompt_for(RED_MUG), "images/mug.png"),
            (prompt_for(RED_MUG, Mentions(True, True, False, False, False)), str(tmp_path / "images" / "car.png")),
            (prompt_for(RED_MUG), "images/gone.png"),
            (prompt_for(RED_MUG), None),
            ("a castle in the clouds", "images/mug.png"),
        ],
    )


def test_pictures_are_found_beside_the_manifest_or_anywhere(manifest: Path) -> None:
    pictures = read_manifest(manifest)
    assert pictures.images.shape == (2, 64, 64, 3)
    assert (pictures.missing, pictures.foreign) == (2, 1)


def test_only_mentioned_attributes_count(manifest: Path) -> None:
    ((name, shares),) = evaluate_manifest(manifest).items()
    assert name == "2 pictures (2 missing, 1 of other prompts)"
    # The second picture is a blue striped car where "a red mug" was asked for; nobody asked for its pattern.
    assert shares == {"product": 0.5, "color": 0.5, "pattern": 1.0, "background": 1.0, "style": 1.0, "all": 0.5}


def test_an_attribute_that_nobody_mentions_has_no_figure(manifest: Path) -> None:
    pictures = read_manifest(manifest)
    shares = mentioned_accuracy(pictures.images[1:], pictures.wanted[1:])
    assert shares["pattern"] is None
    assert "|  |" in as_markdown({"one": shares})


def test_larger_pictures_are_scaled_down(tmp_path: Path) -> None:
    large = Image.fromarray(render(RED_MUG, np.random.default_rng(0))).resize((256, 256), Image.Resampling.BICUBIC)
    large.save(tmp_path / "large.png")
    path = write_manifest(tmp_path, [(prompt_for(RED_MUG), "large.png")])
    ((_, shares),) = evaluate_manifest(path).items()
    assert shares["all"] == 1.0


def test_an_empty_image_set_has_no_figures(tmp_path: Path) -> None:
    path = write_manifest(tmp_path, [(prompt_for(RED_MUG), None)])
    ((name, shares),) = evaluate_manifest(path).items()
    assert name.startswith("0 pictures (1 missing")
    assert set(shares.values()) == {None}


def test_the_catalogue_is_200_different_pictures() -> None:
    combinations = catalogue()
    assert len(set(combinations)) == len(combinations) == 200
    assert 0 < sum(map(is_held_out, combinations)) < 60
