"""Logging in as `ssh` does: which methods and keys are tried, in which order, and what is asked of whom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import paramiko
from paramiko.message import Message

from deploy_lib.ssh.asking import Asker
from deploy_lib.ssh.certificate import SUFFIX
from deploy_lib.ssh.dialogue import Dialogue, Reply
from deploy_lib.ssh.keyfiles import UnusableError
from deploy_lib.ssh.keys import Candidate, find
from deploy_lib.ssh.refusals import LoginError
from deploy_lib.ssh.target import Target
from deploy_lib.ssh.transport import StrictTransport
from deploy_lib.ssh.waiting import Look, nowhere

_TOO_MANY = "Too many authentication failures"
"""What sshd says when it ends a session in which more was tried than MaxAuthTries allows."""


def log_in(
    transport: StrictTransport,
    target: Target,
    further: tuple[Path, ...] = (),
    *,
    batch: bool = False,
    heeds: bool = True,
) -> None:
    """Logs in on a session whose host is verified.

    Args:
        further: private key files that come before those of ssh_config.
        batch: nothing may be asked.
        heeds: Ctrl-C ends it.

    Raises:
        LoginError: nothing was accepted; it says what was tried and what was not usable.
        paramiko.AuthenticationException: the server ended the session, or did not answer.
        StoppedError: the operator has pressed Ctrl-C.
    """
    asker = Asker(batch=batch or target.keys.batch)
    _Login(transport, target, further, asker, asker.look if heeds else nowhere).run()


class _Login:
    def __init__(
        self,
        transport: StrictTransport,
        target: Target,
        further: tuple[Path, ...],
        asker: Asker,
        look: Look,
    ) -> None:
        self._transport = transport
        self._target = target
        self._asker = asker
        self._dialogue = Dialogue(transport, target.user, look)
        self._found = find(target.keys, further, transport.handshake)
        self._left = iter(self._found.keys)
        self._tried: list[str] = []
        self._hints: list[str] = []
        self._asked = 0

    def run(self) -> None:
        try:
            self._dialogue.begin()
            self._try_all()
        except LoginError:
            raise
        except paramiko.AuthenticationException as error:
            if not self._tried:
                raise
            name = self._target.name
            hint = (
                f"sshd lets a client try few keys (MaxAuthTries): name the right one in ssh_config, for {name}: "
                "IdentityFile (its .pub is enough for an agent's key) and IdentitiesOnly yes"
                if _TOO_MANY in str(error)
                else f"sshd ends a login that takes long (LoginGraceTime); see what it waits for: ssh -v {name}, and the host's log"
            )
            raise LoginError(
                f"{error}, after {_count(self._tried)}: {', '.join(self._tried)}", hint
            ) from None

    def _try_all(self) -> None:
        reply = self._first()
        finished: set[str] = set()
        while not reply.success:
            if reply.partial:
                finished.clear()
            able = [m for m in self._target.keys.methods if m in reply.methods and m not in finished]
            if not able:
                raise self._refused(reply)
            finished.add(able[0])
            reply = self._ways[able[0]](reply)

    def _first(self) -> Reply:
        """The first request: an only key that can sign at once, otherwise none at all, to learn what is allowed.

        `ssh` always begins with "none", which some servers accept. A key that signs at once makes one round trip less.
        """
        keys = self._found.keys
        if "publickey" in self._target.keys.methods and len(keys) == 1 and keys[0].silent and keys[0].blob:
            reply = self._key(next(self._left), Reply("failure"))
            if reply.success or reply.partial:
                return reply
        return self._dialogue.request("none")

    @property
    def _ways(self) -> dict[str, Callable[[Reply], Reply]]:
        return {
            "publickey": self._publickey,
            "keyboard-interactive": self._keyboard,
            "password": self._password,
        }

    def _publickey(self, reply: Reply) -> Reply:
        for candidate in self._left:
            reply = self._key(candidate, reply)
            if reply.success or reply.partial:
                break
        return reply

    def _key(self, candidate: Candidate, before: Reply) -> Reply:
        """One key. A server is first asked whether it would do, where signing takes a person or an agent."""
        prompts, asker, dialogue = self._target.keys.prompts, self._asker, self._dialogue
        try:
            candidate.open(asker, prompts, self._target.keys.rsa_size)
            algorithm = self._algorithm(candidate)
            blob = candidate.blob or b""
            if not candidate.silent:
                reply = dialogue.request("publickey", False, algorithm, blob)
                if reply.kind != "more":
                    self._tried.append(candidate.title)
                    return reply
            data = dialogue.signed_bytes(algorithm, blob)
            signature = candidate.sign(data, algorithm.removesuffix(SUFFIX), asker, prompts)
        except UnusableError as error:
            why, _, hint = str(error).partition("\t")
            self._found.notes.append(f"{candidate.title}: {why}")
            self._hints.append(hint)
            return before
        self._tried.append(candidate.title)
        return dialogue.request("publickey", True, algorithm, blob, signature)

    def _algorithm(self, candidate: Candidate) -> str:
        """What a key signs with; an RSA key has several algorithms, of which the server names those that it takes."""
        kind = candidate.kind
        if kind.removesuffix(SUFFIX) != "ssh-rsa":
            return kind
        suffix = SUFFIX if kind.endswith(SUFFIX) else ""
        takes = vars(self._transport)["server_extensions"].get("server-sig-algs", b"")
        taken = (takes.decode() if isinstance(takes, bytes) else takes).split(",")
        own = self._target.keys.accepted
        names = [n for n in ("rsa-sha2-512", "rsa-sha2-256") if not own or f"{n}{suffix}" in own]
        return f"{next((n for n in names if n in taken), names[0] if names else 'rsa-sha2-512')}{suffix}"

    def _keyboard(self, reply: Reply) -> Reply:
        for _ in range(self._target.keys.prompts):
            reply = self._dialogue.request("keyboard-interactive", "", "")
            asked = reply.more is not None
            while reply.more is not None:
                answers = self._answers(reply.more)
                if answers is None:
                    # Nobody is there. The server waits for an answer before it takes another request.
                    raise self._refused(reply)
                reply = self._dialogue.answer(answers)
            if reply.success or reply.partial or not asked:
                break
        return reply

    def _answers(self, asked: Message) -> list[str] | None:
        title, instructions, _ = (asked.get_text() for _ in range(3))
        prompts = [(asked.get_text(), asked.get_boolean()) for _ in range(asked.get_int())]
        if not prompts:
            return []
        if not self._asker.there:
            questions = ", ".join(repr(text.strip()) for text, _ in prompts)
            self._found.notes.append(
                f"the server asks {questions}, and there is no terminal to ask for the answer"
            )
            self._hints.append("run it on a terminal, or let the server accept a key alone")
            return None
        where = f"{self._target.user}@{self._target.title}"
        told = "\n".join(filter(None, (title, instructions)))
        return self._asker.answers(told, [(f"({where}) {text}", shown) for text, shown in prompts])

    def _password(self, reply: Reply) -> Reply:
        if not self._asker.there:
            self._found.notes.append(
                "the server would take a password, and there is no terminal to ask for it"
            )
            return reply
        for _ in range(self._target.keys.prompts):
            password = self._asker.secret(f"{self._target.user}@{self._target.title}'s password: ")
            reply = self._dialogue.request("password", False, password)
            if reply.success or reply.partial:
                break
        return reply

    def _refused(self, reply: Reply) -> LoginError:
        allowed = f"it allows {', '.join(reply.methods)}" if any(reply.methods) else ""
        tried = f"tried {', '.join(self._tried)}" if self._tried else "there was no key to try"
        what = "; ".join(filter(None, (tried, *self._found.notes, allowed)))
        return LoginError(what, self._hints[0] if self._hints else self._advice())

    def _advice(self) -> str:
        user, name = self._target.user, self._target.name
        if not self._tried:
            return f"name a key in ssh_config, for {name} (IdentityFile), or start the agent that has it (SSH_AUTH_SOCK, IdentityAgent)"
        return f"is {user} the right user (User in ssh_config), and the key in that user's authorized_keys on the host?"


def _count(tried: list[str]) -> str:
    return "1 key" if len(tried) == 1 else f"{len(tried)} keys"
