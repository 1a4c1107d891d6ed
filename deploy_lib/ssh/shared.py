"""A session that the operator has opened already (ControlPath), in the place of one of this program's own.

It has what `Session` and Fabric use of Paramiko's transport and channels, so that nothing else knows the difference. Who the host
is, and who has logged in, is what the operator's own `ssh` has found.
"""

from __future__ import annotations

import socket

from paramiko.ssh_exception import ChannelException, SSHException

from deploy_lib.ssh.master import CONNECT_FAILED, PROHIBITED, Control
from deploy_lib.ssh.shared_channel import SharedChannel, SharedForward


def listens(path: str | None) -> bool:
    """Whether there is a master behind a ControlPath; the host is not asked."""
    if path is None:
        return False
    try:
        Control(path).close()
    except OSError:
        return False
    return True


def share(path: str, timeout: float, *, leads_on: bool = False) -> SharedSession | None:
    """The session behind a ControlPath; None where the master lets nobody in, or its host does not answer.

    Args:
        timeout: seconds that the host may take to open a channel.
        leads_on: it is a jump host's, which need not open any session (MaxSessions 0).
    """
    try:
        session = SharedSession(path, timeout)
    except OSError:
        return None
    # The master answers by itself, also when nothing comes from the host any more, or when it was told to ask.
    if session.answers(refusing=leads_on):
        return session
    session.close()
    return None


class SharedSession:
    """The operator's session, with the part of Paramiko's `Transport` that is used here.

    Raises:
        OSError: no master listens.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self.timeout = timeout
        self._path = path
        self._watch = Control(path)
        self._closed = False

    @property
    def active(self) -> bool:
        """Whether channels can be opened."""
        return not self._closed and not self._watch.ended

    def control(self) -> Control:
        """One more connection to the master.

        Raises:
            SSHException: it has ended.
        """
        try:
            return Control(self._path)
        except OSError as error:
            raise SSHException(f"the shared session has ended: {error}") from None

    def open_session(self) -> SharedChannel:
        """A channel for a command; the host opens it when the command is there."""
        return SharedChannel(self.control, self.timeout)

    def open_channel(
        self, _kind: str, place: tuple[str, int], _origin: tuple[str, int], timeout: float
    ) -> SharedForward:
        """A forward.

        Raises:
            ChannelException: nothing listens there, or sshd forbids forwarding.
            TimeoutError: the host does not answer.
            SSHException: the session has ended.
        """
        made = self._forward(place, timeout)
        if made is not None:
            return made
        # A master does not say why. sshd itself certainly listens, where it says that this session came in.
        own = self._own_place()
        tried = self._forward(own, timeout) if own else None
        if own and tried is None:
            raise ChannelException(PROHIBITED, "Administratively prohibited")
        if tried is not None:
            tried.close()
        raise ChannelException(CONNECT_FAILED, "Connect failed")

    def answers(self, *, refusing: bool) -> bool:
        """Whether the host opens a session.

        Args:
            refusing: an answer is enough, although it refuses.
        """
        channel = self.open_session()
        try:
            channel.exec_command("cat")
            channel.shutdown_write()
            channel.status_event.wait(self.timeout)
        except ChannelException as error:
            return refusing and error.code == CONNECT_FAILED
        except (SSHException, OSError):
            return False
        finally:
            channel.close()
        return True

    def room(self, count: int) -> int:
        """How many sessions sshd opens at once, of so many: they are opened and closed again."""
        opened: list[SharedChannel] = []
        try:
            for _ in range(count):
                channel = self.open_session()
                opened.append(channel)
                channel.exec_command("cat")
        except (SSHException, OSError):
            opened.pop().close()
        for channel in opened:
            channel.shutdown_write()
            channel.status_event.wait(self.timeout)
            channel.close()
        return len(opened)

    def set_keepalive(self, seconds: int) -> None:
        """Nothing: the master keeps its session alive as ssh_config says."""

    def is_active(self) -> bool:
        """As `active`."""
        return self.active

    def close(self) -> None:
        """Leaves the session; the operator's goes on."""
        self._closed = True
        self._watch.close()

    def _forward(self, place: tuple[str, int], timeout: float) -> SharedForward | None:
        control = self.control()
        own, theirs = socket.socketpair()
        with theirs:
            try:
                control.forward(*place, (theirs, theirs), timeout)
            except (ChannelException, OSError) as error:
                control.close()
                own.close()
                if isinstance(error, ChannelException):
                    return None
                if isinstance(error, TimeoutError):
                    raise
                raise SSHException(f"the shared session: {error}") from None
        made = SharedForward(fileno=own.detach())
        made.control = control
        return made

    def _own_place(self) -> tuple[str, int] | None:
        channel = self.open_session()
        channel.settimeout(self.timeout)
        try:
            channel.exec_command("echo; echo own: $SSH_CONNECTION")
            channel.shutdown_write()
            said = b""
            while chunk := channel.recv(4096):
                said += chunk
        except (SSHException, OSError):
            return None
        finally:
            channel.close()
        for line in said.decode(errors="replace").splitlines():
            match line.split():
                case ["own:", _, _, address, port] if port.isdigit():
                    return address, int(port)
        return None
