"""The messages of a login (RFC 4252, RFC 4256), one request and one reply at a time.

Paramiko's own handler signs with every key that it tries, so that a person would have to touch or unlock each, and keeps
the methods that a server allows to itself.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import paramiko
from msgspec import Struct
from paramiko.auth_handler import AuthHandler
from paramiko.common import (
    MSG_SERVICE_ACCEPT,
    MSG_USERAUTH_BANNER,
    MSG_USERAUTH_FAILURE,
    MSG_USERAUTH_INFO_REQUEST,
    MSG_USERAUTH_SUCCESS,
    cMSG_SERVICE_REQUEST,
    cMSG_USERAUTH_INFO_RESPONSE,
    cMSG_USERAUTH_REQUEST,
)
from paramiko.message import Message
from paramiko.ssh_exception import AuthenticationException

from deploy_lib.ssh.waiting import Look, wait

REPLY_TIMEOUT = 30.0
"""Seconds that a server may take to answer one request; a directory of users is slow."""

PERSON_TIMEOUT = 130.0
"""Seconds for a request that may wait for a person, who confirms it elsewhere. sshd ends a login before that, after 120
(LoginGraceTime)."""

_BY_PERSONS = ("keyboard-interactive", "password")

_SERVICE = "ssh-connection"


class Reply(Struct, frozen=True):
    """What a server says to a request.

    Attributes:
        kind: "accepted" (the service), "success", "failure", "more" (it would accept the key, or asks something).
        methods: those that can go on, after a failure.
        partial: the request succeeded, and the server wants another as well.
        more: the fields of "more".
    """

    kind: str
    methods: tuple[str, ...] = ()
    partial: bool = False
    more: Message | None = None

    @property
    def success(self) -> bool:
        """Whether the user is logged in."""
        return self.kind == "success"


class Dialogue(AuthHandler):
    """The client's side of a login.

    Args:
        look: called while a reply is waited for; what it raises ends the wait.
    """

    def __init__(self, transport: paramiko.Transport, user: str, look: Look) -> None:
        super().__init__(transport)
        # Paramiko types less than it has.
        self._own: Any = super()
        self._session: Any = transport
        self._user = user
        self._look = look
        self._replies: queue.SimpleQueue[Reply | None] = queue.SimpleQueue()
        self._reply: Reply | None = None
        transport.auth_handler = self

    def begin(self) -> None:
        """Asks for the service that logs in.

        Raises:
            AuthenticationException: the server ended the session, or did not answer.
        """
        message = Message()
        message.add_byte(cMSG_SERVICE_REQUEST)
        message.add_string("ssh-userauth")
        self._exchange(message)

    def request(self, method: str, *fields: str | bytes | bool) -> Reply:
        """Asks to be let in.

        Raises:
            AuthenticationException: the server ended the session, or did not answer.
        """
        self.auth_method = method
        return self._exchange(self._message(method, *fields))

    def signed_bytes(self, algorithm: str, blob: bytes) -> bytes:
        """What a key has to sign, to be let in with it."""
        message = Message()
        message.add_string(self._session.session_id)
        return bytes(message.asbytes() + self._message("publickey", True, algorithm, blob).asbytes())

    def answer(self, answers: list[str]) -> Reply:
        """Answers what the server has asked.

        Raises:
            AuthenticationException: the server ended the session, or did not answer.
        """
        message = Message()
        message.add_byte(cMSG_USERAUTH_INFO_RESPONSE)
        message.add_int(len(answers))
        for each in answers:
            message.add_string(each)
        return self._exchange(message)

    def abort(self) -> None:
        """The session has ended: whoever waits for a reply is told."""
        super().abort()
        self._replies.put(None)

    def _message(self, method: str, *fields: str | bytes | bool) -> Message:
        message = Message()
        message.add_byte(cMSG_USERAUTH_REQUEST)
        for text in (self._user, _SERVICE, method):
            message.add_string(text)
        for value in fields:
            if isinstance(value, bool):
                message.add_boolean(value)
            else:
                message.add_string(value)
        return message

    def _exchange(self, message: Message) -> Reply:
        limit = PERSON_TIMEOUT if self.auth_method in _BY_PERSONS else REPLY_TIMEOUT
        self._session._send_message(message)
        try:
            wait(self._come, limit, self._look)
        except TimeoutError:
            raise AuthenticationException(f"the server did not answer within {limit:g} s") from None
        reply = self._reply
        if reply is None:
            error = self._session.get_exception()
            why = getattr(self._session, "farewell", "") or (str(error) if error is not None else "")
            raise AuthenticationException(f"the server ended the session{f': {why}' if why else ''}")
        return reply

    def _come(self, seconds: float) -> bool:
        try:
            self._reply = self._replies.get(timeout=seconds)
        except queue.Empty:
            return False
        return True

    @property
    def _client_handler_table(self) -> dict[int, Callable[[Message], Any]]:
        return {
            MSG_SERVICE_ACCEPT: lambda message: self._replies.put(Reply("accepted")),
            MSG_USERAUTH_SUCCESS: self._succeeded,
            MSG_USERAUTH_FAILURE: self._failed,
            MSG_USERAUTH_BANNER: self._own._parse_userauth_banner,
            # The same number means "this key would do" after a question about a key.
            MSG_USERAUTH_INFO_REQUEST: lambda message: self._replies.put(Reply("more", more=message)),
        }

    def _succeeded(self, message: Message) -> None:
        self._own._parse_userauth_success(message)
        self._replies.put(Reply("success"))

    def _failed(self, message: Message) -> None:
        methods = tuple(message.get_list())
        self._replies.put(Reply("failure", methods, message.get_boolean()))
