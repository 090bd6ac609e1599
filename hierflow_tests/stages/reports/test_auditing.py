"""What a run books besides evaluations: its device, GPU seconds, energy, and the prior's work where it broke off."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from hierflow.audit.history import past_runs
from hierflow.models import power
from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow.stages.embedding import encoding
from hierflow.stages.making.images import make_partition
from hierflow.stages.overview.outlook import look_ahead
from hierflow.stages.overview.partition_states import partition_states
from hierflow.stages.reports.auditing import audit, measured_pace, write_audit
from hierflow.stages.reports.image_set import assemble
from hierflow.store.ledger import Ledger
from hierflow_tests.stages.runs import STEPS, carried_out, carry_out, planned, spec_of, stage_of


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU passes for an accelerator whose counter is a Wh further at every reading."""
    reading = itertools.count(5, 3_600_000)
    monkeypatch.setattr(power, "is_accelerator", lambda device: True)
    monkeypatch.setattr(power, "energy_counter", lambda device: lambda: next(reading))


def test_on_a_cpu_no_gpu_seconds_are_booked(tiny_learned: Path) -> None:
    run = carry_out(spec_of(tiny_learned))
    assert [(entry.device, entry.gpu_seconds, entry.kwh) for entry in run.entries] == [("cpu", 0.0, None)] * 2
    assert run.account.gpu.note == "no GPU was used"
    assert run.account.saved_end_to_end is not None
    assert run.account.saved_end_to_end < run.account.books.saved


@pytest.mark.usefixtures("counted")
def test_an_accelerator_is_held_from_loading_to_scoring(tiny_learned: Path) -> None:
    run = carry_out(spec_of(tiny_learned))
    for entry in run.entries:
        spent = sum(value for name, value in entry.seconds.items() if name != "startup")
        assert spent <= entry.gpu_seconds + 0.01
        assert entry.gpu_seconds <= entry.ended - entry.started + 0.01
        assert entry.kwh is not None
        assert entry.kwh >= 0.001
    assert run.account.gpu.seconds == pytest.approx(sum(entry.gpu_seconds for entry in run.entries), abs=0.01)


@pytest.mark.usefixtures("counted")
def test_what_encodes_lost_conditioning_holds_the_accelerator_once(tiny_learned: Path, tmp_path: Path) -> None:
    spec = spec_of(tiny_learned, storage=tmp_path)
    stage = stage_of(spec)
    compiled, prompts = planned(stage)
    shutil.rmtree(tmp_path / "tests" / "conditioning")
    later = stage_of(spec)
    began = time.perf_counter()
    make_partition(later, compiled, prompts, compiled.document.keys[0])
    wall = time.perf_counter() - began
    own = [entry for entry in later.store.ledger.entries() if entry.run == later.run]
    assert sorted(entry.stage for entry in own) == ["embeddings", "partition"]
    (encoding,) = (entry for entry in own if entry.stage == "embeddings")
    assert encoding.gpu_seconds > 0.05 * wall  # else counting it twice would not show
    assert sum(entry.gpu_seconds for entry in own) <= wall
    assert sum(seconds for e in own for name, seconds in e.seconds.items() if name != "startup") <= wall


@pytest.mark.usefixtures("counted")
def test_a_run_that_is_killed_has_booked_its_time_and_its_gpu_as_far_as_it_has_noted(
    tiny_learned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hierflow.store.ledger import OpenEntry

    monkeypatch.setattr(OpenEntry, "close", lambda *args, **fields: None)  # as though nobody lived to close it
    lost = carry_out(spec_of(tiny_learned)).entries
    assert [entry.status for entry in lost] == ["lost", "lost"]
    assert all(entry.gpu_seconds > 0 and entry.kwh for entry in lost)
    encoding, partition = lost
    assert encoding.seconds["encode"] > 0
    assert partition.seconds["denoise"] > 0
    spent = sum(seconds for name, seconds in partition.seconds.items() if name != "startup")
    assert spent <= partition.ended - partition.started + 0.01


def test_entries_name_their_plans_totals(tiny_learned: Path) -> None:
    run = carry_out(spec_of(tiny_learned))
    encoding, partition = run.entries
    document = run.compiled.document
    assert (encoding.standard, encoding.planned) == (0, 0)
    assert (partition.standard, partition.planned) == (document.standard, document.planned)


def test_encoding_that_breaks_off_books_the_priors_work_so_far(
    tiny_learned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, real = itertools.count(1), Kandinsky22.encode

    def encode(self: Kandinsky22, *arguments: Any) -> Any:
        if next(calls) == 3:
            raise MemoryError("no room")
        return real(self, *arguments)

    for size in ("FIXED_BATCH", "SHARD"):
        monkeypatch.setattr(encoding, size, 2)
    monkeypatch.setattr(Kandinsky22, "encode", encode)
    stage = stage_of(spec_of(tiny_learned, prior_steps=3))
    with pytest.raises(MemoryError):
        planned(stage)
    (entry,) = stage.store.ledger.entries()
    assert (entry.status, entry.prior_evaluations) == ("failed", 2 * 2 * 3)
    assert entry.seconds["encode"] > 0


def test_a_denoiser_that_breaks_off_books_the_time_it_took(
    tiny_learned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predict(*arguments: Any) -> Any:
        time.sleep(0.02)
        raise MemoryError("no room")

    monkeypatch.setattr(Kandinsky22, "predict", predict)
    stage = stage_of(spec_of(tiny_learned, sharing={"tau": 0.0}))
    with pytest.raises(MemoryError):
        carried_out(stage)
    entry = stage.store.ledger.entries()[-1]
    assert (entry.status, entry.evaluations) == ("failed", 0)
    assert entry.seconds["denoise"] >= 0.02


def test_a_decoder_that_breaks_off_books_the_time_it_took(
    tiny_learned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(*arguments: Any) -> Any:
        time.sleep(0.02)
        raise MemoryError("no room")

    monkeypatch.setattr(Kandinsky22, "decode", decode)
    stage = stage_of(spec_of(tiny_learned, sharing={"tau": 0.0}))
    with pytest.raises(MemoryError):
        carried_out(stage)
    entry = stage.store.ledger.entries()[-1]
    assert (entry.status, entry.error, entry.unaccounted) == ("failed", "MemoryError: no room", 0)
    assert entry.evaluations == entry.planned
    assert entry.seconds["decode"] >= 0.02


def test_all_reports_of_a_run_are_of_one_reading_of_the_ledger(
    tiny_learned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = carry_out(spec_of(tiny_learned))
    lost = run.assembled.rows[0]
    run.stage.store.files.delete(lost.image_path)
    entries = run.stage.store.ledger.entries()
    monkeypatch.setattr(Ledger, "entries", lambda self: pytest.fail("the ledger is read again"))
    made = assemble(run.stage, run.compiled, run.prompts, entries=entries)
    assert not made.complete
    assert partition_states(run.stage, run.compiled, made.rows, entries)[0].prompts == (lost.prompt,)
    this_run, all_runs = write_audit(run.stage, run.compiled, made.rows, entries)
    assert this_run.books.executed == all_runs.books.executed == run.compiled.plan.evaluations


def test_a_pace_is_that_of_one_network_size_and_device(tiny_learned: Path, tmp_path: Path) -> None:
    run = carry_out(spec_of(tiny_learned, storage=tmp_path))
    entries = run.stage.store.ledger.entries()
    assert measured_pace(entries, run.stage.pace) is not None
    network = Path(shutil.copytree(tiny_learned, tmp_path / "network"))
    config = network / "decoder" / "unet" / "config.json"
    config.write_text(config.read_text("utf-8") + "\n", "utf-8")  # other bytes are another network
    changes: list[dict[str, Any]] = [{"guidance_scale": 1.0}, {"height": 32}, {"deterministic": False}]
    for other in (spec_of(network), *(spec_of(tiny_learned, **change) for change in changes)):
        assert measured_pace(entries, stage_of(other).pace) is None
    assert measured_pace(entries, stage_of(spec_of(tiny_learned, seed=9, scheduler="ddim")).pace) is not None


def test_savings_of_nightly_edits_add_up_and_raise_nothing_of_the_sets(tiny_learned: Path, tmp_path: Path) -> None:
    texts = [f"a {color} {thing}" for color in ("red", "blue", "green") for thing in ("mug", "chair")]
    nights = [carry_out(spec_of(tiny_learned, storage=tmp_path, prompts=[*texts, f"hat {n}"])) for n in range(4)]
    made, everything = [night.account.made for night in nights], len(texts) + len(nights)
    assert [one.images for one in made] == [len(texts) + 1, 1, 1, 1]
    assert sum(one.saved for one in made) == everything * STEPS - nights[-1].account.executed_ever
    past = past_runs(nights[-1].stage.store.ledger.entries(), nights[-1].stage.spec.cost)
    assert [(run.images, run.saved_evaluations) for run in past] == [(one.images, one.saved) for one in made]
    assert [run.seconds_saved for run in past] == [night.account.seconds_saved for night in nights]
    assert all(night.account.books.reused for night in nights[1:])
    for night in nights:
        books, now = night.account.books, night.account.set_now
        assert (now.images, now.standard) == (len(texts) + 1, books.standard)
        assert 0 < now.standard - now.executed <= books.standard - books.planned


def test_nights_before_lessen_no_plans_share_of_the_time(tiny_learned: Path, tmp_path: Path) -> None:
    nights = []
    for night in range(3):
        spec = spec_of(tiny_learned, storage=tmp_path, prompts=["a red mug", "a blue mug", f"hat {night}"])
        look_ahead(stage_of(spec))  # encodes what is new
        nights.append(carry_out(spec))
    entries = nights[-1].stage.store.ledger.entries()
    everything = [entry.seconds["encode"] for entry in entries if entry.stage == "embeddings"]
    assert len(everything) == len(nights)
    plans = [audit(run.stage, run.compiled, run.assembled.rows, entries, whole_plan=True) for run in nights]
    assert [plan.seconds["encode"] for plan in plans] == everything


@pytest.mark.usefixtures("counted")
def test_the_stored_account_has_prices_columns_and_past_runs(tiny_learned: Path, tmp_path: Path) -> None:
    spec = spec_of(
        tiny_learned,
        prompts={"template": "a {color} {thing}", "axes": {"color": ["red", "blue"], "thing": ["mug", "<hat>"]}},
        storage=tmp_path,
    )
    spec = spec.model_copy(update={"cost": spec.cost.model_copy(update={"per_gpu_hour": 3600.0, "currency": "EUR"})})
    first = carried_out(stage_of(spec))
    second = carried_out(stage_of(spec))
    this_run, all_runs = write_audit(second.stage, second.compiled, second.assembled.rows)
    stored = json.loads((tmp_path / "tests" / "audit.json").read_text("utf-8"))
    assert this_run.cost is not None
    assert (this_run.cost.spent, this_run.books.executed) == (None, 0)
    assert stored["all_runs_of_this_plan"]["cost"]["spent"] == pytest.approx(all_runs.gpu.seconds)
    assert stored["by"].keys() == {"color", "thing"}
    assert sum(value["cost"] for value in stored["by"]["color"]) == pytest.approx(all_runs.gpu.seconds)
    assert [run["executed"] for run in stored["past_runs"]] == [first.account.books.executed]
    page = (tmp_path / "tests" / "audit.html").read_text("utf-8")
    assert '<a href="gallery.html">' in page
    assert '<a href="audit.html">' in (tmp_path / "tests" / "gallery.html").read_text("utf-8")
    assert "&lt;hat&gt;" in page
    assert "<hat>" not in page
