"""The real SDK on a fake native core; the last test replays what was asked to the real core, offline."""

import asyncio
import json
from pathlib import Path
from typing import Any

import onepassword.core
import pytest

from deploy_lib.errors import ExitCode, PreflightError
from deploy_lib.secrets import onepassword as source
from deploy_lib.secrets.sources import fetch
from deploy_lib.topology import Environment, load

ROOT = Path(__file__).resolve().parents[3]
NAMES = ["DB_USER", "DB_PASSWORD", "JWT_SECRET", "GF_ADMIN_PASSWORD", "GHCR_TOKEN"]
FIELDS = {
    "db_username": "ktrdr",
    "db_password": "p" * 20,
    "jwt_secret": "j" * 40,
    "grafana_password": "g" * 16,
    "ghcr_token": "t" * 20,
}


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
        self.asked: list[str] = []

    async def init_client(self, config: str) -> str:
        await asyncio.sleep(self.delay)
        if self.sign_in:
            raise self.sign_in
        return "1"

    async def invoke(self, request: str) -> str:
        self.asked.append(request)
        references = json.loads(request)["invocation"]["parameters"]["parameters"]["secret_references"]
        return json.dumps({"individualResponses": {r: self._answer(r) for r in references}})

    def _answer(self, reference: str) -> dict[str, Any]:
        field = reference.rpartition("/")[2]
        if field in self.errors:
            return {"content": None, "error": {"type": self.errors[field]}}
        return {"content": {"secret": self.fields[field], "itemId": "i", "vaultId": "v"}, "error": None}

    def invoke_sync(self, request: str) -> str:
        raise AssertionError("not used")

    def release_client(self, client: int) -> None:
        pass


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


def test_everything_that_is_missing_is_named_at_once(core: Core, homelab: Environment) -> None:
    core.errors = {"db_password": "fieldNotFound", "jwt_secret": "itemNotFound"}
    message = refusal(homelab)
    assert "db_password: fieldNotFound" in message
    assert "jwt_secret: itemNotFound" in message
    assert "grafana_password" not in message


def test_a_value_that_breaks_its_rule_is_refused(core: Core, homelab: Environment) -> None:
    core.fields["db_password"] = ""
    core.fields["jwt_secret"] = "short"
    message = refusal(homelab)
    assert "DB_PASSWORD" in message
    assert "JWT_SECRET" in message


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (CoreError("RateLimitExceeded"), "rate limit"),
        (CoreError("DesktopSessionExpired"), "session has expired"),
        (CoreError("Internal", "service account token had invalid format"), "does not have the format"),
        (CoreError("Internal", "error sending request for url: dns error"), "cannot be reached"),
        (CoreError("Internal", "something else"), "refused"),
    ],
)
def test_each_failure_is_one_clear_line(
    core: Core, homelab: Environment, error: Exception, expected: str
) -> None:
    core.sign_in = error
    message = refusal(homelab)
    assert expected in message
    assert "->" in message


def test_without_token_or_account_it_says_what_to_set(
    core: Core, homelab: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OP_SERVICE_ACCOUNT_TOKEN")
    message = refusal(homelab)
    assert "OP_SERVICE_ACCOUNT_TOKEN" in message
    assert "OP_ACCOUNT" in message


def test_a_server_that_stays_silent_is_not_waited_for(
    core: Core, homelab: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "TIMEOUT", 0.2)
    core.delay = 30
    assert "did not answer within" in refusal(homelab)


def test_the_real_core_accepts_the_shape_of_what_was_asked(
    homelab: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = onepassword.core.UniffiCore().core
    fake = Core()
    monkeypatch.setattr(onepassword.core.UniffiCore, "__init__", lambda self: setattr(self, "core", fake))
    monkeypatch.setenv("OP_SERVICE_ACCOUNT_TOKEN", "made-up")
    fetch(homelab, NAMES)

    async def replay(request: str) -> str:
        try:
            return str(await real.invoke(request))
        except Exception as error:  # noqa: BLE001 - the native core raises its own kinds
            return f"{getattr(error, 'msg', '')} {error}"

    said = asyncio.run(
        replay(
            fake.asked[0]
            .replace('"clientId":1', '"clientId":999')
            .replace('"clientId": 1', '"clientId": 999')
        )
    )
    assert "invalid client id" in said.lower(), said
    broken = asyncio.run(replay(fake.asked[0].replace("SecretsResolveAll", "NoSuchCall")))
    assert "invalid client id" not in broken.lower()
