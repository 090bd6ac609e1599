"""Measure what was trained, with the judges that were trained beside it."""

from __future__ import annotations

from hierflow.mini.evaluation.figures import measure
from hierflow.mini.evaluation.judges import load_judges
from hierflow.mini.evaluation.sampling import load_model
from hierflow.mini.training.work import Run


def train(run: Run) -> None:
    """Write `figures.md`, `figures.json` and `pictures.jpg`."""
    part = run.work.part
    judges = load_judges(part("classifier.safetensors"), part("yes_no"))
    figures = measure(load_model(part("model")), judges, part("pictures.jpg"), share=min(1.0, run.scale))
    part("figures.md").write_text(figures.as_markdown(), "utf-8")
    part("figures.json").write_text(figures.as_json(), "utf-8")
