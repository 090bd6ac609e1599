"""The audit page shows any text harmlessly, asks nothing of the network, and has the account's figures."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from hierflow.audit.account import Audit
from hierflow.audit.columns import by_columns
from hierflow.audit.history import past_runs
from hierflow.audit.made import Made
from hierflow.audit.page import render_audit
from hierflow.images import ImageRow
from hierflow.store.ledger import MEASURED, Paid, Work
from hierflow_tests.audit.examples import BOTH, accounted, books, entry, row

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title><script>alert(1)</script>",
    "{{ 7 * 7 }} {% raw %} {#",
    "猫と🐈‍⬛ صورة لكوب أحمر",
    "x" * 2000,
]


class Page(HTMLParser):
    """What a browser would make of the page: its tags with their attributes, and all text by the tag it is in."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            continue

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[-1]][-1] += data


def html_of(rows: list[ImageRow] | None = None, account: Audit | None = None, **changes: Any) -> str:
    account = account or accounted(prices=BOTH)
    by, left_out = by_columns(rows or [row()], 40, account)
    past = past_runs([entry("one"), entry("two", started=86400.0)], BOTH)
    options: dict[str, Any] = {
        "title": "set",
        "left_out": left_out,
        "past": past,
        "gallery": "gallery.html",
        **changes,
    }
    return render_audit(this_run=account, all_runs=account, by=by, **options)


@pytest.mark.parametrize("text", NASTY)
def test_no_text_becomes_markup(text: str) -> None:
    def full_of(text: str) -> Page:
        silent = entry(kwh=None, energy_note=text, machine={"gpu": text})
        account = accounted([silent], BOTH.model_copy(update={"currency": text[:8]}), books(problems=(text,)))
        rows = [row(axes={"campaign": text, text: "x"})]
        return Page(html_of(rows, account, title=text, left_out={text: 300}))

    seen = full_of(text)
    assert [tag for tag, _ in seen.tags] == [tag for tag, _ in full_of("plain").tags]
    assert seen.texts["h1"] == [text]
    assert seen.texts["title"][0] == f"{text}: audit"
    assert text in seen.texts["th"]
    assert f"By {text}" in seen.texts["h2"]
    assert text in seen.texts["p"]


def test_the_policy_allows_exactly_the_pages_own_style_and_nothing_else() -> None:
    html = html_of()
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [attributes["content"] for tag, attributes in Page(html).tags if "http-equiv" in attributes]
    assert policy == f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'"
    assert not re.search(r"<[^>]* (style|on\w+)=|<script|https?:|url\(|@import", html)


def test_the_statement_leads_from_standard_to_executed() -> None:
    kept = books(standard=400, planned=100, executed=73, reused=40, redone=13, problems=())
    text = Page(html_of(account=accounted(kept=kept)))
    cells = [cell for cell in text.texts["td"] if cell.strip()]
    assert cells[:12:2] == ["400", "300", "100", "40", "13", "73"]
    assert "The books balance." in text.texts["p"]


def cells_of(html: str, label: str) -> list[str]:
    """What stands beside the first line of a table that begins with `label`."""
    (line,) = re.findall(rf'<tr[^>]*><th scope="row">{label}</th>(.*?)</tr>', html, re.DOTALL)
    return re.findall(r"<td>(.*?)</td>", line, re.DOTALL)


def test_what_the_set_took_and_what_runs_saved_and_were_spared_are_tables_of_their_own() -> None:
    edit = entry(evaluations=30, seconds={"denoise": 3.0})
    html = html_of(account=accounted([edit], BOTH, books(executed=30, reused=70), Made(1, 40, 30)))
    assert cells_of(html, "Without sharing") == ["400", "40 s", "0.0420"]
    assert cells_of(html, "Executed for them") == ["100", "10 s", "0.0105"]
    assert cells_of(html, "Saved by sharing") == ["300", "30 s", "0.0315"]
    assert cells_of(html, "Images made") == ["1", "1"]
    assert cells_of(html, "Time saved by sharing") == ["1 s", "1 s"]
    assert cells_of(html, "Time spared by what was there before") == ["7 s", "7 s"]


def test_what_measuring_cost_is_a_line_of_its_own() -> None:
    both = accounted([entry(), entry(stage=MEASURED)], BOTH, books(executed=200, measured=100))
    assert cells_of(html_of(account=both), "To measure, EUR, of that") == ["0.0210", "0.0210"]
    assert "To measure, EUR" not in html_of()


def test_a_statement_without_repeats_and_gaps_leaves_their_lines_out() -> None:
    labels = " ".join(Page(html_of()).texts["th"])
    assert all(name in labels for name in ("Without sharing", "Shared", "Planned", "Reused", "Executed"))
    assert not any(name in labels for name in ("Outstanding", "Replayed", "Redone", "Measured"))


def test_books_that_do_not_balance_say_why_first() -> None:
    text = Page(html_of(account=accounted(kept=books(problems=("the hook counted 3", "another")))))
    assert "The books do not balance." in text.texts["p"]
    assert {"the hook counted 3", "another"} <= set(text.texts["p"])


def test_a_set_made_on_a_cpu_says_so_and_shows_no_column_of_money() -> None:
    text = Page(html_of(account=accounted([entry(gpu=False)], BOTH)))
    assert "No GPU was used." in text.texts["p"]
    assert "takings" not in [attributes.get("class") for _, attributes in text.tags]


def test_the_plot_has_three_bars_a_run_of_the_right_height() -> None:
    past = past_runs([entry(str(n), started=86400.0 * n) for n in range(60)], BOTH)
    page = Page(html_of(past=past))
    bars = {
        kind: [attributes for tag, attributes in page.tags if tag == "rect" and attributes.get("class") == kind]
        for kind in ("standard", "planned", "executed")
    }
    heights = {kind: {bar["height"] for bar in found if "y" in bar} for kind, found in bars.items()}
    assert heights == {"standard": {"180.0"}, "planned": {"45.0"}, "executed": {"45.0"}}
    assert sum("y" in bar for bar in bars["executed"]) == 40  # the latest
    assert "1970-03-01 00:00 UTC: 400 without sharing, 100 planned, 100 executed; 75.0% saved" in page.texts["title"]


def test_measuring_makes_no_bar_longer() -> None:
    measuring = entry("one", stage=MEASURED, evaluations=5000)
    past = past_runs([entry("one"), measuring], BOTH)
    html = html_of(account=accounted(kept=books(executed=5100, measured=5000)), past=past)
    page = Page(html)
    (bar,) = [a for tag, a in page.tags if tag == "rect" and a.get("class") == "executed" and "y" not in a]
    assert bar["width"] == "25.00%"
    assert "Executed, without measuring" in page.texts["span"]
    assert any("100 executed; 5,000 measured; 75.0% saved" in title for title in page.texts["title"])
    assert "5,100" in page.texts["td"]


def test_a_set_without_any_run_has_a_page() -> None:
    account = accounted([entry(evaluations=0, seconds={}, gpu_seconds=0.0)], kept=books(executed=0, outstanding=100))
    text = Page(html_of(account=account, past=[]))
    assert "Runs" not in text.texts["h2"]


def test_many_values_are_folded_away_and_columns_of_too_many_named() -> None:
    rows = [row(f"p{n}", axes={"sku": f"sku {n}"}) for n in range(30)]
    text = Page(html_of(rows, left_out={"url": 4321}))
    assert "18 more values" in text.texts["summary"]
    assert sum(cell.startswith("sku ") for cell in text.texts["th"]) == 30
    assert any(line.startswith("url: 4,321 values, too many") for line in text.texts["p"])


def test_images_that_are_missing_are_counted_with_those_there_should_be() -> None:
    rows = [row("a"), replace(row("b"), status="failed", error="why", image_path="")]
    assert "1 of 2" in Page(html_of(rows)).texts["td"]


def test_every_run_tells_what_it_made_and_saved_and_one_line_what_all_did() -> None:
    made: dict[str, Any] = {"plan": "A", "steps": 8, "evaluations": 5, "started": 1.0}
    images: dict[str, dict[str, Any]] = {
        name: {"work": (Work(name, 1, 8),), "paid": (Paid(name, 1, 8, 1.0),)} for name in "ab"
    }
    repeated = {**images["a"], "evaluations": 5}
    past = past_runs(
        [
            *(entry(name, **made, **image) for name, image in images.items()),
            entry("again", **{**made, **repeated, "started": 86400.0}),
            entry("old", plan="A", started=2 * 86400.0),
        ],
        BOTH,
    )
    html = html_of(past=past)
    assert cells_of(
        html, '4 runs, all plans <span class="what">1 too old to tell what they made and saved</span>'
    ) == [*("", "", "", "2", "115", "", "1", "1 min 20 s", "2 s", "80.0", "0.0840", "0.0021")]
    assert cells_of(html, '1970-01-02 00:00 UTC <span class="failed"></span>')[3:] == [
        *("0", "5", "", "-5", "20 s", "-10 s", "20.0", "0.0210", "-0.0105")
    ]
    assert cells_of(html, '1970-01-03 00:00 UTC <span class="failed"></span>')[3:7] == ["—", "100", "", "—"]
