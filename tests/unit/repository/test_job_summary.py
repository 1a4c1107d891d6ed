import json
import subprocess
import sys
from typing import Any

from tests import ROOT

DOCUMENT: dict[str, Any] = {
    "command": "deploy-all",
    "environment": "homelab",
    "exit": 10,
    "outcome": "failed; every host is as it was before",
    "release": "r-1",
    "nodes": {
        "core": {
            "outcome": "reverted",
            "from": "sha-1111111",
            "to": "sha-2222222",
            "services": {},
            "error": None,
        },
        "B": {
            "outcome": "failed",
            "from": None,
            "to": "sha-2222222",
            "services": {},
            "error": "B, prove: no worker | `x` <b>\n  -> see [logs](http://a.example)",
        },
    },
}


def made(text: str) -> tuple[int, str]:
    program = ROOT / "scripts" / "job_summary.py"
    done = subprocess.run([sys.executable, program], input=text, capture_output=True, text=True)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_it_says_how_it_ended_and_where() -> None:
    code, text = made(json.dumps(DOCUMENT))
    assert code == 0
    assert text.startswith("## deploy-all: failed; every host is as it was before\n")
    assert "exit status 10." in text
    assert "| core | reverted | sha-1111111 | sha-2222222 |" in text
    assert "| B | failed | – | sha-2222222 |" in text


def test_what_a_host_said_is_shown_and_not_obeyed() -> None:
    _, text = made(json.dumps(DOCUMENT))
    table, _, _ = text.partition("<details>")
    assert "no worker &#124; &#96;x&#96; &#60;b&#62;" in table
    assert "<b>" not in text
    assert "](" not in table
    # An error cannot leave its quotation.
    assert all(line.startswith("> ") for line in table.splitlines() if "B, prove" in line or "see " in line)


def test_the_document_is_there_whole() -> None:
    import html

    _, text = made(json.dumps(DOCUMENT))
    inside = text.partition("<pre>")[2].partition("</pre>")[0]
    assert json.loads(html.unescape(inside)) == DOCUMENT


def test_an_error_of_the_whole_command_is_there() -> None:
    code, text = made(
        json.dumps({"command": "deploy-core", "exit": 2, "error": "deploy.toml: nodes: missing"})
    )
    assert code == 0
    assert "> deploy.toml: nodes: missing" in text


def test_no_document_is_said() -> None:
    for text in ("", "[]", "error: no such task"):
        assert made(text) == (1, "The command printed no document; its log says why.\n")
