"""Secrets from a 1Password item, through the official SDK: one sign-in and one call for all fields."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from deploy_lib.errors import PreflightError
from deploy_lib.secrets.value import Secret
from deploy_lib.topology import OnePasswordSource, SecretSpec

TOKEN = "OP_SERVICE_ACCOUNT_TOKEN"  # noqa: S105 - the variable's name, not a token
ACCOUNT = "OP_ACCOUNT"
TIMEOUT = 30.0
"""Seconds for signing in and fetching together."""


class OnePassword:
    """A vault item whose fields are the secrets."""

    def __init__(self, spec: OnePasswordSource) -> None:
        self.name = f"1Password (vault {spec.vault!r}, item {spec.item!r})"
        self._spec = spec

    def fetch(self, specs: Mapping[str, SecretSpec]) -> Mapping[str, Secret]:
        """See `Source.fetch`."""
        references = {name: self._reference(spec) for name, spec in specs.items()}
        # `from None` throughout: the SDK's models print secret values, and a chained traceback would show them.
        try:
            answers = asyncio.run(asyncio.wait_for(self._resolve(list(references.values())), TIMEOUT))
        except TimeoutError:
            raise PreflightError(
                f"1Password did not answer within {TIMEOUT:.0f} s", mend="check the network to 1Password"
            ) from None
        except PreflightError:
            raise
        except Exception as error:  # noqa: BLE001 - most of the SDK's errors are bare Exceptions
            raise explain(error) from None
        return self._values(references, answers)

    def _reference(self, spec: SecretSpec) -> str:
        return f"op://{self._spec.vault}/{self._spec.item}/{spec.field}"

    async def _resolve(self, references: list[str]) -> Any:
        from onepassword import Client, DesktopAuth

        account = self._spec.account or os.environ.get(ACCOUNT)
        token = os.environ.get(TOKEN)
        if not token and not account:
            raise PreflightError(
                f"not signed in to 1Password: neither {TOKEN} nor an account is set",
                mend=f"export {TOKEN} (a service account's), or set {ACCOUNT} to sign in with the desktop app",
            )
        client = await Client.authenticate(
            auth=token or DesktopAuth(account_name=str(account)),
            integration_name="ktrdr-deploy",
            integration_version="0.1.0",
        )
        return await client.secrets.resolve_all(references)

    def _values(self, references: Mapping[str, str], answers: Any) -> dict[str, Secret]:
        values: dict[str, Secret] = {}
        problems = []
        for name, reference in references.items():
            answer = answers.individual_responses.get(reference)
            if answer is not None and answer.content is not None:
                values[name] = Secret(answer.content.secret)
            else:
                kind = getattr(getattr(answer, "error", None), "type", "no answer")
                problems.append(f"{reference}: {getattr(kind, 'value', kind)}")
        if problems:
            raise PreflightError(
                f"1Password has not all secrets: {'; '.join(problems)}",
                mend="check the vault's, the item's and the fields' names, and that this account may read them",
            )
        return values


def explain(error: Exception) -> PreflightError:
    """The SDK's error in words that an operator can act on."""
    kind = type(error).__name__
    text = str(error).lower()
    if kind == "RateLimitExceededException":
        return PreflightError(
            "1Password's rate limit is used up", mend="wait for an hour, or use another service account"
        )
    if kind == "DesktopSessionExpiredException":
        return PreflightError(
            "the 1Password desktop app's session has expired", mend="unlock the app and run the command again"
        )
    if isinstance(error, FileNotFoundError):
        return PreflightError(
            "the 1Password desktop app was not found",
            mend=f"install it and allow integration with other apps, or export {TOKEN}",
        )
    if "invalid format" in text or "malformed" in text:
        return PreflightError(
            f"{TOKEN} does not have the format of a service account token", mend="copy it anew from 1Password"
        )
    if any(word in text for word in ("dns", "connect", "network", "sending request", "http")):
        return PreflightError("1Password cannot be reached", mend="check the network and DNS of this machine")
    return PreflightError(f"1Password refused ({kind})", mend=f"check {TOKEN} and that it may read the vault")
