"""Secrets from a 1Password item, through the official SDK: one sign-in and one call for all fields."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from deploy_lib.config import SecretSpec
from deploy_lib.errors import PreflightError
from deploy_lib.secrets.redaction import REDACTOR
from deploy_lib.secrets.sources import Source
from deploy_lib.secrets.value import Secret

TOKEN = "OP_SERVICE_ACCOUNT_TOKEN"  # noqa: S105 - the variable's name, not a token
ACCOUNT = "OP_ACCOUNT"
TIMEOUT = 25.0
"""Seconds for signing in and fetching together; the SDK itself gives up after 30, with a message that hides why."""

PROBLEMS = {
    "vaultNotFound": "there is no vault {vault!r}",
    "tooManyVaults": "there are several vaults {vault!r}: name it by its ID",
    "itemNotFound": "there is no item {item!r} in the vault {vault!r}",
    "tooManyItems": "there are several items {item!r} in the vault {vault!r}: name it by its ID",
    "noMatchingSections": "the item {item!r} has no such section: {fields}",
    "fieldNotFound": "the item {item!r} has no field {fields}",
    "tooManyMatchingFields": "the item {item!r} has more than one field {fields}: name it by its ID",
    "parsing": "'op://{vault}/{item}/' with {fields} is no secret reference: letters, digits, spaces and _ . - can "
    "stand in one; name by its ID what has others",
}
"""What the SDK says of one reference, in words."""

_WHOLE = "op://"
"""How a whole secret reference begins."""


class OnePassword(Source):
    """A vault item whose fields are the secrets.

    Attributes:
        account: signed in to with the desktop app, where there is no service account's token.
    """

    source: Literal["1password"]
    vault: str
    item: str
    account: str | None = None

    def name(self, root: Path) -> str:
        """See `Source.name`."""
        return f"1Password (vault {self.vault!r}, item {self.item!r})"

    def fetch(self, specs: Mapping[str, SecretSpec], root: Path) -> Mapping[str, Secret]:
        """See `Source.fetch`."""
        token, account = os.environ.get(TOKEN, "").strip(), self.account or os.environ.get(ACCOUNT)
        if not token and not account:
            raise PreflightError(
                f"not signed in to 1Password: neither {TOKEN} nor an account is set",
                hint=f"export {TOKEN} (a service account's); or, to sign in with the desktop app, set {ACCOUNT} "
                "or the environment's secrets.account in deploy.toml to the account's name",
            )
        REDACTOR.add([Secret(token)])
        references = {name: self.place(spec) for name, spec in specs.items()}
        answers = _within(TIMEOUT, lambda: _resolve(token, account, list(references.values())))
        return self._values(references, answers)

    def place(self, spec: SecretSpec) -> str:
        """The reference; a whole one as the field stands for itself."""
        if spec.field.startswith(_WHOLE):
            return spec.field
        return f"{_WHOLE}{spec.vault or self.vault}/{spec.item or self.item}/{spec.field}"

    def _values(
        self, references: Mapping[str, str], answers: Mapping[str, Secret | str]
    ) -> dict[str, Secret]:
        values: dict[str, Secret] = {}
        lacking: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for name, reference in references.items():
            match answers.get(reference, "no answer"):
                case Secret() as secret:
                    values[name] = secret
                case str() as kind:
                    vault, item, field = (*reference.removeprefix(_WHOLE).split("/", 2), "", "")[:3]
                    lacking[kind, vault, item].append(field)
        if lacking:
            problems = [
                PROBLEMS.get(kind, kind + ": {fields}").format(
                    vault=vault, item=item, fields=", ".join(sorted(set(fields)))
                )
                for (kind, vault, item), fields in lacking.items()
            ]
            raise PreflightError(
                f"1Password lacks secrets: {'; '.join(problems)}",
                hint="fix the names in deploy.toml or in 1Password, and check that this account may read the vault",
            )
        return values


def _within(seconds: float, work: Callable[[], Any]) -> Any:
    """The result of `work`, which is abandoned when the time is up: a native call can neither be cancelled nor
    interrupted, and the desktop app's blocks the event loop.

    Raises:
        PreflightError: the time is up, or `work` failed; with the reason.
    """
    from concurrent.futures import Future

    answer: Future[Any] = Future()

    def attempt() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:  # noqa: BLE001 - most of the SDK's errors are bare Exceptions
            answer.set_exception(error)

    threading.Thread(target=attempt, name="1password", daemon=True).start()
    problem: BaseException
    try:
        return answer.result(seconds)
    except TimeoutError:
        problem = PreflightError(
            f"1Password did not answer within {seconds:.0f} s",
            hint="check this machine's network and proxy; with the desktop app, look whether it asks for something",
        )
    except Exception as error:  # noqa: BLE001
        problem = explain(error)
    # Raised out here, so that the SDK's error is not chained to it: its models' texts show secret values.
    raise problem


def _resolve(token: str, account: str | None, references: list[str]) -> dict[str, Secret | str]:
    """By reference, its value or the kind of its problem."""
    import asyncio

    from onepassword.secrets import Secrets

    found: dict[str, Secret | str] = {}
    for reference in references:
        try:
            Secrets.validate_secret_reference(reference)
        except Exception:  # noqa: BLE001 - the SDK raises bare Exceptions
            found[reference] = "parsing"
    sound = [reference for reference in references if reference not in found]
    return found | (asyncio.run(_ask(token, account, sound)) if sound else {})


async def _ask(token: str, account: str | None, references: list[str]) -> dict[str, Secret | str]:
    from onepassword import Client, DesktopAuth

    client = await Client.authenticate(
        auth=token or DesktopAuth(account_name=str(account)),
        integration_name="deploy_lib",
        integration_version="0.1.0",
    )
    answers = (await client.secrets.resolve_all(references)).individual_responses
    # Otherwise done when Python ends, with no time limit; and the desktop app's prints to standard output.
    with contextlib.redirect_stdout(sys.stderr):
        client._finalizer()
    found: dict[str, Secret | str] = {}
    for reference, answer in answers.items():
        if answer.content is not None:
            found[reference] = Secret(answer.content.secret)
        elif answer.error is not None:
            found[reference] = str(getattr(answer.error.type, "value", answer.error.type))
    return found


def explain(error: Exception) -> PreflightError:
    """The SDK's error in words that an operator can act on."""
    if isinstance(error, PreflightError):
        return error
    kind, text = type(error).__name__, str(error).lower()

    def says(*words: str) -> bool:
        return any(word in text for word in words)

    if kind == "RateLimitExceededException" or says("rate limit exceeded"):
        return PreflightError(
            "1Password's rate limit is used up",
            hint="wait (it counts by the hour and by the day), or use another service account",
        )
    if kind == "DesktopSessionExpiredException":
        return PreflightError(
            "the session with the 1Password desktop app has expired",
            hint="unlock the app and run the command again",
        )
    if isinstance(error, FileNotFoundError):
        return PreflightError(
            "the 1Password desktop app was not found",
            hint=f"install it and allow integration with other apps, or export {TOKEN}",
        )
    if says("desktop app"):
        return PreflightError(
            "the 1Password desktop app did not answer",
            hint="start and unlock it, and turn on Settings > Developer > Integrate with other apps",
        )
    if isinstance(error, ImportError | OSError):
        return PreflightError(
            "the 1Password SDK cannot be used on this machine",
            hint="it needs CPython 3.9 to 3.13 with glibc 2.32 or later, macOS, or Windows",
        )
    if says("invalid format", "invalid service account token", "token is invalid"):
        return PreflightError(
            f"{TOKEN} does not have the format of a service account token", hint="copy it anew from 1Password"
        )
    if re.search(
        r"internal server error|status code\D*(5\d\d|429)|conflict occurred|please retry|session expired",
        text,
    ):
        return PreflightError(
            "1Password fails at the moment", hint="run the command again in a while; the token may be right"
        )
    if says("sending request", "request library", "reqwest", "dns", "timeout"):
        return PreflightError(
            "1Password cannot be reached", hint="check this machine's network, DNS, proxy and CA certificates"
        )
    if says("rotate", "not authenticated", "credentials", "authentication error"):
        return PreflightError(
            f"1Password does not accept {TOKEN}",
            hint="it may be revoked or expired: make another one for this service account",
        )
    if says("right permissions"):
        return PreflightError("1Password refused access", hint="let this account read the vault")
    if kind == "ValidationError":
        # Its text is not shown: pydantic quotes the answer, values and all.
        return PreflightError(
            "1Password's answer was not understood", hint="update the onepassword-sdk package"
        )
    said = f": {error}" if type(error) is Exception else ""
    return PreflightError(
        f"1Password refused ({kind}){said}", hint=f"check {TOKEN} and that it may read the vault"
    )
