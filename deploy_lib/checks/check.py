"""One check, and what follows from several."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import asdict

from deploy_lib.config import Node
from deploy_lib.errors import PreflightError

Result = Literal["ok", "failed", "warning", "deferred"]


class Check(Struct, frozen=True):
    """One check and its result.

    Attributes:
        name: short, in the field's words.
        proves: what is certain when it is ok.
        result: "failed" stops a deployment; "warning" does not; "deferred" is repeated before the switch, because
            the same command makes it true.
        found: what was seen, such as a version.
        problem: "" when it is ok.
        hint: what to do about the problem.
    """

    name: str
    proves: str
    result: Result = "ok"
    found: str = ""
    problem: str = ""
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON, where the hint is called `mend`: scripts rely on that."""
        found = asdict(self)
        hint = found.pop("hint")
        return {**found, "mend": hint}


def judged(
    name: str, proves: str, problem: str, hint: str, *, found: str = "", otherwise: Result = "failed"
) -> Check:
    """A check that is ok without a problem, and `otherwise` with one."""
    if problem:
        return Check(name, proves, otherwise, found, problem, hint)
    return Check(name, proves, "ok", found)


def numbers(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with, to be compared."""
    match = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(int(number) for number in match[1].split(".")) if match else ()


def failed(checks: Iterable[Check]) -> list[Check]:
    """Those that stop a deployment."""
    return [check for check in checks if check.result == "failed"]


def listing(checks: Iterable[Check]) -> str:
    """Problems and their fixes, for people."""
    return "".join(f"\n  {check.name}: {check.problem}\n    -> {check.hint}" for check in checks)


def require_passed(node: Node, checks: Iterable[Check]) -> None:
    """Raises one error that names every failed check.

    Raises:
        PreflightError: with all of them, and how to fix each.
    """
    found = failed(checks)
    if found:
        count = "1 check" if len(found) == 1 else f"{len(found)} checks"
        raise PreflightError(
            f"{count} failed, nothing was changed{listing(found)}", node=node.name, step="preflight"
        )
