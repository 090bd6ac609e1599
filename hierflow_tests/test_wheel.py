"""The package as users install it: built, installed with its dependencies outside the checkout, and used there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from hierflow_tests.image_sets import write_document

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(3600)]

CHECKOUT = Path(__file__).parents[1]


def output_of(*arguments: object, cwd: Path, **environment: str) -> str:
    """What a command prints; without this process's PYTHONPATH."""
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "DAGSTER_HOME")}
    done = subprocess.run(
        [str(argument) for argument in arguments],
        cwd=cwd,
        env={**env, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked(*paths: str) -> list[str]:
    """The files of the checkout that git tracks."""
    return output_of("git", "ls-files", *paths, cwd=CHECKOUT).splitlines()


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("build")
    for name in tracked():
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, folder / "source" / name)
    (folder / "source/hierflow/__pycache__").mkdir()
    (folder / "source/hierflow/__pycache__/stale.cpython-311.pyc").write_bytes(b"")
    output_of(sys.executable, "-m", "build", "--outdir", folder / "dist", cwd=folder / "source")
    return folder / "dist"


def test_every_file_of_the_package_is_in_the_wheel_and_in_the_source_distribution(distributions: Path) -> None:
    (wheel,), (source,) = distributions.glob("*.whl"), distributions.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        assert sorted(name for name in archive.namelist() if ".dist-info/" not in name) == tracked("hierflow")
    with tarfile.open(source) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert {*tracked("hierflow"), "pyproject.toml", "README.md", "LICENSE"} <= names


def test_an_installed_package_finishes_a_set(distributions: Path, tmp_path: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    environment = tmp_path / "venv"
    output_of(CHECKOUT / ".ci/install", wheel, cwd=tmp_path, VENV=str(environment), PYTHON=sys.executable)
    code = "import hierflow; print(hierflow.__file__)"
    assert Path(output_of(environment / "bin/python", "-c", code, cwd=tmp_path)).is_relative_to(environment)

    document = write_document(
        tmp_path,
        prompts={"text": ["a red mug", "a blue mug"]},
        diffusion={"steps": 3},
        scoring={"metrics": ["clip", "vqa"], "baseline_sample": 2},
    )
    cache = str(tmp_path / "cache")
    ended = json.loads(
        output_of(environment / "bin/hierflow", "run", document, "--json", cwd=tmp_path, HIERFLOW_CACHE=cache)
    )
    assert (ended["complete"], ended["images"]) == (True, 2)
    made = {path.name for path in (tmp_path / "out/trial").iterdir()}
    assert made >= {"gallery.html", "manifest.parquet", "audit.html", "audit.json", "history.html", "quality.html"}
    again = output_of(environment / "bin/hierflow", "run", document, "--json", cwd=tmp_path, HIERFLOW_CACHE=cache)
    assert json.loads(again)["evaluations"]["executed"] == 0
