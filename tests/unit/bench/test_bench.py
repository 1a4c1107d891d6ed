"""What `invoke bench` makes of its runs, and the parts of it that need no lab."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench import publish
from bench.cases import CASES, with_latency
from bench.chart import LIMIT, WIDTH, chart
from bench.contenders import NAMES
from bench.figures import Run, document, figures, read, slope, table
from bench.latency import delayed
from bench.outage import outage
from bench.process import run
from deploy_lib.errors import UsageError

RUNS = [
    Run("a", "floor", 2.0, 2.0),
    Run("a", "ours", 1.0, 1.0, 0.5, 60.0),
    Run("a", "floor", 4.0, 4.0),
    Run("a", "ours", 3.0, 3.0, 0.7, 64.0),
    Run("a", "floor", 3.0, 3.0),
    Run("a", "ours", 99.0, 99.0, 9.0, 99.0, status=3),
    Run("b", "ours", 7.0, 7.0, 7.0, 7.0),
]
ABOUT = {
    "title": "A case <&>",
    "base": "floor",
    "latency": 0,
    "measured": "2026-01-02T03:04:05+00:00",
    "commit": "abc1234",
    "cores": 2,
    "load": 1.5,
    "python": "3.11.7",
}


def test_medians_are_compared_and_a_run_that_failed_counts_as_failed_alone() -> None:
    floor, ours, alone = figures(RUNS, {"a": "floor"})
    assert (floor.median, floor.least, floor.most, floor.ratio) == (3.0, 2.0, 4.0, 1.0)
    assert (ours.runs, ours.median, ours.failed, ours.cpu, ours.peak) == (2, 2.0, 1, 0.6, 62.0)
    assert ours.ratio == pytest.approx(2 / 3)
    assert alone.ratio is None


def test_whoever_never_succeeded_has_no_figure() -> None:
    assert figures([Run("a", "ours", 1.0, 1.0, status=1)], {"a": "floor"}) == []


def test_a_table_says_who_how_long_and_how_much_of_the_base() -> None:
    lines = table(figures(RUNS, {"a": "floor"}), NAMES)
    assert lines[2] == "| bare commands, on the host | 3 | 3.00 s (2.00 s 4.00 s) | 1.00 | – |"
    assert lines[3] == "| **this project** | 2 | 2.00 s (1.00 s 3.00 s), 1 failed | 0.67 | 0.60 |"


def test_cases_that_were_not_measured_again_stay_in_the_document() -> None:
    first = document(RUNS, {"a": ABOUT, "b": {**ABOUT, "title": "Another"}})
    again = document([Run("b", "ours", 1.0, 1.0)], {"b": ABOUT}, json.loads(json.dumps(first)))
    assert [(f.case, f.who, f.median) for f in read(again)] == [
        ("a", "floor", 3.0),
        ("a", "ours", 2.0),
        ("b", "ours", 1.0),
    ]


def test_what_each_further_host_takes_is_a_slope() -> None:
    assert slope([(1, 0.5), (4, 0.53), (16, 0.65)]) == pytest.approx(0.01)


def test_the_chart_is_a_picture_with_a_bar_for_each_contender() -> None:
    long = Run("a", "ansible", 30.0, 30.0)
    drawn = chart({"A case <&>": figures([*RUNS[:4], long], {"a": "floor"})}, NAMES)
    root = ET.fromstring(drawn)  # noqa: S314 - it was just made here
    of = "{http://www.w3.org/2000/svg}"
    bars = [float(bar.get("width", 0)) for bar in root.iter(f"{of}rect") if "bar" in bar.get("class", "")]
    said = [text.text or "" for text in root.iter(f"{of}text")]
    assert bars == pytest.approx([WIDTH / LIMIT, WIDTH / LIMIT * 2 / 3, WIDTH], abs=0.1)
    assert "A case <&>" in said
    assert "10.00× (30.00 s)" in said


def test_an_outage_lasts_until_the_next_good_answer() -> None:
    asked = [(0.0, 0.1, True), (1.0, 1.1, False), (2.0, 2.1, False), (3.0, 3.5, True), (4.0, 5.0, False)]
    assert outage(asked) == pytest.approx(2.5 + 1.0)
    assert outage([]) == 0


def test_a_command_s_children_count_and_its_status_is_told(tmp_path: Path) -> None:
    took = run([sys.executable, "-c", "print('said'); raise SystemExit(7)"], tmp_path, {}, tmp_path / "log")
    assert took.status == 7
    assert took.cpu > 0
    assert took.peak > 1
    assert "said" in (tmp_path / "log").read_text()


def test_bytes_take_their_time_on_a_long_line_and_arrive_whole() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    sent = bytes(range(256)) * 2000

    def echo() -> None:
        connection, _ = server.accept()
        with connection:
            while chunk := connection.recv(65536):
                connection.sendall(chunk)

    threading.Thread(target=echo, daemon=True).start()
    with server, delayed({"one": server.getsockname()[1]}, 0.2) as ports:
        client = socket.create_connection(("127.0.0.1", ports["one"]), 10)
        began = time.monotonic()
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        got = b""
        while chunk := client.recv(65536):
            got += chunk
        client.close()
        assert got == sent
        # As long as its way there and back; how much longer a busy machine takes is not of interest.
        assert time.monotonic() - began >= 0.2


def test_tables_and_chart_are_made_between_their_marks(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / publish.PAGE
    page.write_text(f"before\n{publish.BEGIN}\nold\n{publish.END}\nafter\n")
    with pytest.raises(UsageError, match="there is no"):
        publish.make_pages(tmp_path, tmp_path / "none.json")
    (tmp_path / "bench.json").write_text(json.dumps({"no": "document"}))
    with pytest.raises(UsageError, match="is no document"):
        publish.make_pages(tmp_path, tmp_path / "bench.json")
    runs = [Run("nothing-to-do", "floor", 2.0, 2.0), Run("nothing-to-do", "ours", 1.0, 1.0)]
    (tmp_path / "bench.json").write_text(json.dumps(document(runs, {"nothing-to-do": ABOUT})))
    publish.make_pages(tmp_path, tmp_path / "bench.json")
    written = page.read_text()
    assert written.startswith("before\n")
    assert written.endswith("after\n")
    assert "old" not in written
    assert "| **this project** | 1 | 1.00 s (1.00 s 1.00 s) | 0.50 |" in written
    assert "this project" in (tmp_path / publish.CHART).read_text()


def test_with_latency_all_are_compared_to_ssh_with_one_connection() -> None:
    for name in CASES:
        assert with_latency(name, 0) == (name, CASES[name])
    name, case = with_latency("nothing-to-do", 40)
    assert (name, case.base) == ("nothing-to-do+40ms", "ssh-cm")
    assert "floor" not in case.who
