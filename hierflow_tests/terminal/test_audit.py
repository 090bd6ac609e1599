"""The audit in words: GPU time, energy, money and columns, with nothing in them that steers a terminal."""

from __future__ import annotations

from datetime import date

from hierflow.audit.account import Audit
from hierflow.audit.columns import by_column
from hierflow.audit.history import past_runs
from hierflow.audit.made import Made
from hierflow.stages.overview.summary import AuditReport
from hierflow.store.ledger import MEASURED, Paid, Work
from hierflow.terminal.audit import describe_audit
from hierflow_tests.audit.examples import BOTH, accounted, books, entry, row


def told(account: Audit) -> dict[str, str]:
    """The report's lines by their label."""
    text = describe_audit(AuditReport(account, {}, None, "conditioning"))
    return {line[2:].split("  ")[0]: line for line in text.splitlines()[1:]}


def test_gpu_time_energy_and_money_are_told() -> None:
    lines = told(accounted(prices=BOTH))
    assert lines["gpu"].endswith("20 s  H200")
    assert "2.00 Wh" in lines["energy"]
    assert "0.0210 EUR" in lines["cost"]
    assert "0.0315 EUR  of denoising, by sharing" in lines["cost saved"]
    assert "30 s  of denoising, by sharing, on 10 images made" in lines["time saved"]
    assert "60.0%" in lines["end to end"]


def test_what_killed_runs_executed_is_told_as_far_as_anybody_knows() -> None:
    assert told(accounted(kept=books(unaccounted=3)))["unaccounted"].endswith(" 3  at most, by killed runs")
    lines = told(accounted(kept=books(illegible=("ledger/open/x.json", "ledger/open/y.json"))))
    assert lines["unaccounted"].endswith(
        " 0  at most, by killed runs; 2 more of unknown size, such as ledger/open/x.json, which nobody can read"
    )
    assert lines["balance"].endswith("the books balance")


def test_what_the_images_in_the_set_took_is_told_apart_from_what_the_runs_did() -> None:
    account = accounted([entry(evaluations=30)], BOTH, books(executed=30, reused=70), Made(1, 40, 30))
    lines = told(account)
    assert lines["the set"].endswith("100  executed for its 10 images, of 400 without sharing")
    assert "on 1 images made" in lines["time saved"]
    assert "by what was there before" in lines["time spared"]
    assert "by what was there before" in lines["cost spared"]
    assert "saved by sharing" in lines["its time"]
    assert "saved by sharing" in lines["its cost"]
    assert "cost spared" not in told(accounted(prices=BOTH))


def test_a_run_that_repeats_more_than_it_shares_saves_less_than_nothing() -> None:
    account = accounted([entry(evaluations=30)], BOTH, books(executed=30), Made(1, 10, 30))
    lines = told(account)
    assert "-7 s  of denoising, by sharing" in lines["time saved"]
    assert "-0.0070 EUR  of denoising, by sharing" in lines["cost saved"]


def test_what_all_runs_did_and_saved_is_told_together() -> None:
    made = entry("one", plan="A", steps=8, work=(Work("a", 1, 8),), paid=(Paid("a", 1, 8, 1.0),), evaluations=5)
    report = AuditReport(accounted(prices=BOTH), {}, None, "", past_runs([entry("old", plan="A"), made], BOTH))
    lines = describe_audit(report).split("\n\n")[1].splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "all runs, whatever plans they were for",
        "runs 2",
        "images 1 made, those replaced since among them",
        "executed 105 evaluations, 0 of them to measure something",
        "saved 3 evaluations, by sharing, on these images",
        "time 40 s",
        "time saved 6 s of denoising, by sharing; estimated",
        "cost 0.0420 EUR",
        "cost saved 0.0063 EUR of denoising, by sharing",
        "untold 1 of the runs are too old to tell what they made and saved",
    ]
    none = AuditReport(accounted(), {}, None, "", [], date(2200, 1, 1))
    assert "all runs since 2200-01-01, whatever plans they were for\n  runs               0" in describe_audit(none)


def test_what_measuring_cost_is_a_line_of_its_own() -> None:
    measuring = entry(stage=MEASURED, evaluations=900)
    lines = told(accounted([entry(), measuring], BOTH, books(executed=1000, measured=900)))
    assert "0.0420 EUR" in lines["cost"]
    assert "0.0210 EUR" in lines["measuring"]
    assert "measure 20.0 s" in lines["time"]
    assert "measuring" not in told(accounted(prices=BOTH))


def test_without_prices_there_are_seconds_and_energy_only() -> None:
    lines = told(accounted())
    assert {"gpu", "energy"} <= lines.keys()
    assert not {"cost", "cost saved"} & lines.keys()


def test_on_a_cpu_one_line_says_all() -> None:
    lines = told(accounted([entry(gpu=False)], BOTH))
    assert lines["gpu"].endswith("no GPU was used")
    assert not {"energy", "cost", "cost saved"} & lines.keys()


def test_what_is_not_priced_is_told() -> None:
    lines = told(accounted([entry(kwh=None, energy_note="not reported by T4")], BOTH))
    assert lines["energy"].endswith("energy not reported by T4")
    assert "0.0200 EUR  electricity is priced for 0% of the GPU seconds" in lines["cost"]


def test_a_columns_table_lines_up_and_ends_with_the_sum() -> None:
    rows = [row("a", axes={"campaign": "spring"}), row("b", axes={"campaign": "an autumn sale"})]
    account = accounted(prices=BOTH)
    report = AuditReport(
        account, {"campaign": by_column(rows, 40, "campaign", account)}, "audit.html", "conditioning"
    )
    table = describe_audit(report).split("\n\n")[1].splitlines()
    assert table[0] == "by campaign"
    assert table[1].split() == ["images", "standard", "planned", "saved", "paid", "GPU", "s", "EUR"]
    assert len({len(line) for line in table[1:]}) == 1
    assert table[-1].split() == ["all", "2", "80.0", "50.0", "37.5%", "50.0", "20.0", "0.0210"]


def test_values_cannot_steer_the_terminal_nor_run_over_the_line() -> None:
    values = ["\x1b[31mred\x1b[0m\r\n", "‮desrever", "x" * 2000, ""]
    rows = [row(str(n), axes={"campaign": value}) for n, value in enumerate(values)]
    report = AuditReport(
        accounted(), {"campaign": by_column(rows, 40, "campaign", accounted())}, None, "conditioning"
    )
    table = describe_audit(report).split("\n\n")[1]
    assert all(line.isprintable() for line in table.splitlines())
    assert len(table.splitlines()) == 2 + len(values) + 1
    assert max(map(len, table.splitlines())) < 118
    assert "—" in table
