"""Gateways, through which requests reach a service whose containers are replaced: one file each, found by its `program`
(`config/open_set.py`).

A gateway's file has one class made from `Gateway`. Its fields are the further keys of a `[[stacks.*.rolling]]` table, its methods
the shell text with which `host/change/rolling.py` tells it where requests go. docs/rolling.md says how to add one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from deploy_lib.config import Rolling


class Gateway(Rolling, ABC):
    """A program that hands requests on to containers, and can be told to which while it runs.

    Left to itself it finds the service's running containers, after a restart and a reboot, too. While they are replaced it is told
    which ones count. Each method gives the body of a function on the host, for `sh`, with `told COMMAND...`: the command is run in
    the gateway's container, with the function's own standard input. What a body prints when it fails is for people. An address is
    that of a container in a network that the gateway has, as `docker inspect` prints it.
    """

    @abstractmethod
    def sends(self) -> str:
        """From now on, new requests go to those containers at the addresses `$@` that are ready, and to no other.

        What others are answering goes on. It fails where the gateway's configuration lacks what any of the other functions needs.
        """

    @abstractmethod
    def takes(self) -> str:
        """Succeeds while the containers at the addresses `$@`, which `sends` has named, all get requests."""

    @abstractmethod
    def quiet(self) -> str:
        """Succeeds while the container at the address `$1` answers nothing for the gateway."""

    @abstractmethod
    def told_any(self) -> str:
        """Succeeds where the gateway sends to what it was told, and not to what it finds; fails with 1 where it does not, and with
        another status where it does not say."""

    @abstractmethod
    def finds(self) -> str:
        """Succeeds where what the gateway finds by itself are the containers at the addresses `$@`, all of them ready, and no other."""

    @abstractmethod
    def forgets(self) -> str:
        """From now on, new requests go to what the gateway finds by itself."""

    @property
    def functions(self) -> str:
        """Its shell functions `gate_sends`, `gate_takes` and so on; they take `told`. Each has a shell of its own, whatever variables
        it sets."""
        bodies = {
            "sends": self.sends(),
            "takes": self.takes(),
            "quiet": self.quiet(),
            "told_any": self.told_any(),
            "finds": self.finds(),
            "forgets": self.forgets(),
        }
        return "\n".join(f"gate_{name}() (\n{body}\n)" for name, body in bodies.items())
