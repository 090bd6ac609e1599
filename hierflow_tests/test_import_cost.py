"""`import hierflow` is cheap: a notebook, a CLI and Dagster's code server all pay for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import hierflow.models

HEAVY = ("torch", "diffusers", "transformers", "matplotlib", "sklearn", "dagster", "scipy", "pandas")


def python(code: str) -> str:
    """What `code` prints in an interpreter of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded_by(code: str) -> str:
    return python(f"import sys\n{code}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])")


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert loaded_by("import hierflow") == ""


@pytest.mark.parametrize(
    "module",
    ["hierflow.tree", "hierflow.plan.segments", "hierflow.stages.planning.make_plan", "hierflow.audit.books"],
)
def test_the_core_knows_neither_torch_nor_dagster(module: str) -> None:
    assert not {"torch", "diffusers", "transformers", "dagster"} & set(loaded_by(f"import {module}").split())


def test_models_know_nothing_of_scoring() -> None:
    package = Path(hierflow.models.__file__).parent
    assert not [path.name for path in package.rglob("*.py") if "hierflow.scoring" in path.read_text("utf-8")]


def test_reading_a_document_imports_nothing_heavy() -> None:
    assert not set(HEAVY[:6]) & set(loaded_by("import hierflow.document").split())


def test_generate_is_the_function_even_though_a_module_has_its_name() -> None:
    code = "import hierflow\nprint(callable(hierflow.generate), hierflow.generate.__module__, {})"
    assert python(code.format("hierflow.Generation.__name__")) == "True hierflow.generate Generation"


def test_generate_is_the_function_whichever_name_of_its_module_is_used_first() -> None:
    assert python("import hierflow\nhierflow.Generation\nprint(type(hierflow.generate).__name__)") == "function"


def test_a_name_brings_its_own_home() -> None:
    code = "import hierflow\nprint(hierflow.EmbeddingTree.from_embeddings([[1.0]]).plan(steps=3).evaluations)"
    assert python(code) == "3"
    assert set(loaded_by("import hierflow\nhierflow.InputError").split()) == set()


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    import hierflow

    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = hierflow.nonsense
    assert {"EmbeddingTree", "ImageSet", "InputError", "generate"} <= set(dir(hierflow))
    assert set(hierflow.__all__) <= set(dir(hierflow))
