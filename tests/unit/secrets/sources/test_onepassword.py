"""The real SDK on a fake native core; the last test replays what was asked to the real core, offline."""

import asyncio
import base64
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onepassword.core
import onepassword.desktop_core
import pytest

from deploy_lib.config import Environment, load
from deploy_lib.errors import ExitCode, PreflightError
from deploy_lib.secrets.redaction import REDACTOR
from deploy_lib.secrets.sources import fetch
from deploy_lib.secrets.sources import onepassword as source
from tests import ROOT

NAMES = ["DB_USER", "DB_PASSWORD", "JWT_SECRET", "GF_ADMIN_PASSWORD", "GHCR_TOKEN"]
FIELDS = {
    "db_username": "ktrdr",
    "db_password": secrets.token_urlsafe(15),
    "jwt_secret": secrets.token_urlsafe(30),
    "grafana_password": secrets.token_urlsafe(12),
    "ghcr_token": secrets.token_urlsafe(15),
}
REAL = onepassword.core.UniffiCore().core


class CoreError(Exception):
    """As the native core raises it."""

    def __init__(self, name: str, message: str = "no more") -> None:
        super().__init__(message)
        self.msg = json.dumps({"name": name, "message": message})


class Core:
    """What lies under the SDK: JSON in, JSON out."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = dict(FIELDS)
        self.errors: dict[str, str] = {}
        self.sign_in: Exception | None = None
        self.delay = 0.0
        self.blocks = 0.0
        self.answer = ""
        self.asked: list[str] = []
        self.signed_in: list[dict[str, Any]] = []
        self.released: list[int] = []

    async def init_client(self, config: str) -> str:
        self.signed_in.append(json.loads(config))
        await asyncio.sleep(self.delay)
        time.sleep(self.blocks)  # as the desktop app's core does while it waits for a person
        if self.sign_in:
            raise self.sign_in
        return "1"

    async def invoke(self, request: str) -> str:
        return self.respond(request)

    def respond(self, request: str) -> str:
        self.asked.append(request)
        if self.answer:
            return self.answer
        references = json.loads(request)["invocation"]["parameters"]["parameters"]["secret_references"]
        return json.dumps({"individualResponses": {r: self._answer(r) for r in references}})

    def _answer(self, reference: str) -> dict[str, Any]:
        field = reference.rpartition("/")[2]
        if field in self.errors:
            return {"content": None, "error": {"type": self.errors[field]}}
        return {"content": {"secret": self.fields[field], "itemId": "i", "vaultId": "v"}, "error": None}

    def invoke_sync(self, request: str) -> str:
        return str(REAL.invoke_sync(request))

    def release_client(self, client: str) -> None:
        self.released.append(int(client))


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Core:
    fake = Core()
    monkeypatch.setattr(onepassword.core.UniffiCore, "__init__", lambda self: setattr(self, "core", fake))
    monkeypatch.setenv("OP_SERVICE_ACCOUNT_TOKEN", "made-up")
    monkeypatch.delenv("OP_ACCOUNT", raising=False)
    return fake


@pytest.fixture
def homelab() -> Environment:
    return load(ROOT, "homelab")


def refusal(environment: Environment) -> str:
    with pytest.raises(PreflightError) as caught:
        fetch(environment, NAMES)
    assert caught.value.exit_code is ExitCode.NOT_STARTED
    assert caught.value.__cause__ is None
    assert not any(value in str(caught.value) for name, value in FIELDS.items() if name != "db_username")
    return str(caught.value)


def test_all_fields_come_in_one_call(core: Core, homelab: Environment) -> None:
    values = fetch(homelab, NAMES)
    assert {name: value.reveal() for name, value in values.items()} == dict(
        zip(NAMES, FIELDS.values(), strict=True)
    )
    assert len(core.asked) == 1
    assert "op://KTRDR Homelab Secrets/ktrdr-homelab-core/db_password" in core.asked[0]


def test_the_client_does_not_outlive_the_fetch(core: Core, homelab: Environment) -> None:
    fetch(homelab, NAMES)
    assert core.released == [1]


def test_the_token_is_known_to_the_redactor(
    core: Core, homelab: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = secrets.token_urlsafe(40)
    monkeypatch.setenv("OP_SERVICE_ACCOUNT_TOKEN", f" {token}\n")
    core.sign_in = CoreError("Internal", f"strange token {token}")
    assert token not in REDACTOR.clean(refusal(homelab))
    assert core.signed_in[0]["serviceAccountToken"] == token


def test_all_missing_fields_are_named_at_once(core: Core, homelab: Environment) -> None:
    core.errors = {
        "db_password": "fieldNotFound",
        "jwt_secret": "fieldNotFound",
        "ghcr_token": "unsupportedFileFormat",
    }
    message = refusal(homelab)
    assert "the item 'ktrdr-homelab-core' has no field db_password, jwt_secret" in message
    assert "unsupportedFileFormat: ghcr_token" in message
    assert "grafana_password" not in message


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("vaultNotFound", "there is no vault 'KTRDR Homelab Secrets'"),
        ("tooManyVaults", "there are several vaults 'KTRDR Homelab Secrets'"),
        ("itemNotFound", "there is no item 'ktrdr-homelab-core' in the vault 'KTRDR Homelab Secrets'"),
        ("tooManyItems", "there are several items 'ktrdr-homelab-core'"),
    ],
)
def test_what_concerns_all_fields_is_said_once(
    core: Core, homelab: Environment, kind: str, expected: str
) -> None:
    core.errors = dict.fromkeys(FIELDS, kind)
    message = refusal(homelab)
    assert message.count(expected) == 1
    assert "db_password" not in message


def test_names_that_no_reference_can_hold_are_said_before_anybody_is_asked(
    core: Core, homelab: Environment
) -> None:
    assert isinstance(homelab.secret_source, source.OnePassword)
    spec = homelab.secret_source.model_copy(update={"vault": "Café (1)"})
    message = refusal(homelab.model_copy(update={"secret_source": spec}))
    assert "op://Café (1)/ktrdr-homelab-core/" in message
    assert "by its ID" in message
    assert not core.signed_in


def test_a_value_that_breaks_its_rule_is_refused(core: Core, homelab: Environment) -> None:
    core.fields["db_password"] = ""
    core.fields["jwt_secret"] = "short"
    message = refusal(homelab)
    assert "DB_PASSWORD" in message
    assert "JWT_SECRET" in message


@pytest.mark.parametrize(
    ("error", "expected", "hint"),
    [
        (CoreError("RateLimitExceeded"), "rate limit", "wait"),
        (CoreError("Internal", "rate limit exceeded"), "rate limit", "wait"),
        (CoreError("DesktopSessionExpired"), "has expired", "unlock the app"),
        (
            CoreError("Internal", "bad service account token, please rotate it: "),
            "does not accept",
            "revoked",
        ),
        (
            CoreError("Internal", "authentication error: you are not authenticated"),
            "does not accept",
            "revoked",
        ),
        *(
            (CoreError("Internal", f"authentication error: {cause}"), "fails at the moment", "again")
            for cause in (
                "internal server error",
                "unexpected status code in response: 503",
                "conflict occurred",
                "bad credentials, please retry: session expired",
            )
        ),
        (CoreError("Internal", "reqwest library: request functionality"), "cannot be reached", "network"),
        (CoreError("Internal", "you don't have the right permissions to access"), "refused access", "vault"),
        (
            RuntimeError("desktop app connection channel is closed. Make sure"),
            "did not answer",
            "start and unlock",
        ),
        (
            RuntimeError("connection was unexpectedly dropped by the desktop app"),
            "did not answer",
            "Settings",
        ),
        (ImportError("no such library"), "cannot be used on this machine", "CPython"),
        (CoreError("Internal", "something else"), "something else", "check OP_SERVICE_ACCOUNT_TOKEN"),
    ],
)
def test_each_failure_says_what_happened_and_what_to_do(
    core: Core, homelab: Environment, error: Exception, expected: str, hint: str
) -> None:
    core.sign_in = error
    what, arrow, advice = refusal(homelab).partition("\n  -> ")
    assert arrow
    assert expected in what
    assert "\n" not in what
    assert hint in advice


def test_an_answer_that_the_sdk_does_not_understand_is_not_shown(core: Core, homelab: Environment) -> None:
    core.answer = json.dumps(
        {"individualResponses": {"op://x": {"content": {"secret": FIELDS["jwt_secret"]}}}}
    )
    assert "was not understood" in refusal(homelab)


@pytest.mark.parametrize("way", ["deploy.toml", "OP_ACCOUNT"])
def test_an_account_means_the_desktop_app(
    core: Core,
    homelab: Environment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    way: str,
) -> None:
    asked: list[str] = []

    def call(self: Any, payload: str, operation: str) -> str:
        answers = {"init_client": lambda: "1", "invoke": lambda: core.respond(payload)}
        return answers[operation]()  # none for "release_client", of which the SDK prints that it failed

    desktop = onepassword.desktop_core.DesktopCore
    monkeypatch.setattr(desktop, "__init__", lambda self, account: asked.append(account))
    monkeypatch.setattr(desktop, "call_shared_library", call)
    monkeypatch.delenv("OP_SERVICE_ACCOUNT_TOKEN")
    if way == "OP_ACCOUNT":
        monkeypatch.setenv("OP_ACCOUNT", "home")
    else:
        assert isinstance(homelab.secret_source, source.OnePassword)
        spec = homelab.secret_source.model_copy(update={"account": "home"})
        homelab = homelab.model_copy(update={"secret_source": spec})
    assert fetch(homelab, ["DB_PASSWORD"])["DB_PASSWORD"].reveal() == FIELDS["db_password"]
    assert asked == ["home"]
    assert capsys.readouterr().out == ""  # where --json has its one document


def test_without_the_desktop_app_it_says_so(homelab: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OP_SERVICE_ACCOUNT_TOKEN", raising=False)
    monkeypatch.setenv("OP_ACCOUNT", "home")
    monkeypatch.setattr("os.path.exists", lambda path: False)
    assert "desktop app was not found" in refusal(homelab)


def test_without_token_or_account_it_says_what_to_set(
    core: Core, homelab: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OP_SERVICE_ACCOUNT_TOKEN", " ")
    message = refusal(homelab)
    assert "OP_SERVICE_ACCOUNT_TOKEN" in message
    assert "OP_ACCOUNT" in message
    assert "secrets.account in deploy.toml" in message


@pytest.mark.parametrize("how", ["delay", "blocks"])
def test_what_stays_silent_is_not_waited_for(
    core: Core, homelab: Environment, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(source, "TIMEOUT", 0.2)
    setattr(core, how, 3)
    began = time.monotonic()
    assert "did not answer within" in refusal(homelab)
    assert time.monotonic() - began < 2


# --- a whole process, on the real native core ---------------------------------------------------------------


def token(host: str) -> str:
    """A service account token that is well formed, made up from noise, and asks `host`."""
    content = {
        "signInAddress": host,
        "userAuth": {"method": "SRPg-4096", "alg": "PBES2g-HS256", "iterations": 100000, "salt": "x" * 22},
        "email": "made-up@example.org",
        "srpX": secrets.token_hex(32),
        "muk": {
            "alg": "A256GCM",
            "ext": True,
            "k": base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("="),
            "key_ops": ["encrypt", "decrypt"],
            "kty": "oct",
            "kid": "mp",
        },
        "secretKey": "-".join(["A3", "ABCDEF", "ABCDEF", *["ABCDE"] * 4]),
        "throttleSecret": {"seed": secrets.token_hex(32), "uuid": "A" * 26},
        "deviceUuid": "a" * 26,
    }
    return "ops_" + base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def refusing() -> str:
    """Nobody listens here."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "neither OP_SERVICE_ACCOUNT_TOKEN nor an account is set"),
        ("made-up", "does not have the format"),
        ("ops_made-up", "does not have the format"),
        ("ops_" + base64.b64encode(b'{"a":1}').decode(), "does not have the format"),
        ("does-not-exist.invalid", "cannot be reached"),
        ("refusing", "cannot be reached"),
        ("silent", "did not answer within 2 s"),
    ],
)
def test_a_command_ends_with_one_clear_line_and_exit_status_3(
    request: pytest.FixtureRequest, tmp_path: Path, given: str | None, expected: str
) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("OP_")}
    if given in ("silent", "refusing"):
        env[source.TOKEN] = token(request.getfixturevalue(given))
    elif given is not None:
        env[source.TOKEN] = token(given) if given.endswith(".invalid") else given
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(
        '#!/bin/sh\n[ "$1" = -G ] || echo "$@" >>"$0.called"\nprintf "hostname 127.0.0.1\\nport 1\\n"\n'
    )
    ssh.chmod(0o755)
    env |= {"DEPLOY_ENV": "homelab", "PATH": f"{ssh.parent}:{env['PATH']}"}
    # Only where nobody answers: to load the SDK's core may take that long on a busy machine.
    shorter = "onepassword.TIMEOUT = 2.0;" if given == "silent" else ""
    program = f"from deploy_lib.secrets.sources import onepassword; {shorter} from invoke.main import program; program.run()"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, "deploy-core", "--tag", "sha-0000000", "--json"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == ExitCode.NOT_STARTED, done.stderr
    assert time.monotonic() - began < 20
    [error] = [line for line in done.stderr.splitlines() if "here: secrets: " in line]
    assert expected in error
    assert "Traceback" not in done.stderr
    assert "    -> " in done.stderr.partition(error)[2].splitlines()[1]
    document = json.loads(done.stdout)
    assert document["exit"] == 3
    assert expected in document["error"]
    assert all(node["outcome"] == "not started" for node in document["nodes"].values())
    assert given is None or env[source.TOKEN] not in done.stdout + done.stderr
    assert not Path(f"{ssh}.called").exists()


def test_the_real_core_accepts_the_shape_of_what_was_asked(core: Core, homelab: Environment) -> None:
    fetch(homelab, NAMES)

    async def replay(request: str) -> str:
        try:
            return str(await REAL.invoke(request))
        except Exception as error:  # noqa: BLE001 - the native core raises its own kinds
            return f"{getattr(error, 'msg', '')} {error}"

    said = asyncio.run(
        replay(
            core.asked[0]
            .replace('"clientId":1', '"clientId":999')
            .replace('"clientId": 1', '"clientId": 999')
        )
    )
    assert "invalid client id" in said.lower(), said
    broken = asyncio.run(replay(core.asked[0].replace("SecretsResolveAll", "NoSuchCall")))
    assert "invalid client id" not in broken.lower()


def test_a_field_may_be_elsewhere_and_two_names_may_have_one(core: Core, homelab: Environment) -> None:
    given = homelab.secrets
    other = {
        "OTHER_ITEM": given["DB_PASSWORD"].model_copy(update={"item": "workers"}),
        "OTHER_VAULT": given["DB_PASSWORD"].model_copy(update={"vault": "Team"}),
        "WHOLE": given["DB_PASSWORD"].model_copy(update={"field": "op://Team/item/section/db_password"}),
        "SAME": given["DB_PASSWORD"],
    }
    found = fetch(homelab.model_copy(update={"secrets": {**given, **other}}), [*other, "DB_PASSWORD"])
    assert {value.reveal() for value in found.values()} == {FIELDS["db_password"]}
    (asked,) = core.asked
    for reference in (
        "op://KTRDR Homelab Secrets/workers/db_password",
        "op://Team/ktrdr-homelab-core/db_password",
        "op://Team/item/section/db_password",
    ):
        assert reference in asked
