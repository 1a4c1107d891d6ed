"""A line with latency: loopback ports whose bytes arrive later, in both directions.

`tc netem` would do it in the kernel, but many kernels come without it (this needs nothing). What it cannot show: TCP's own
slow start, since both of its ends are on this machine.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress


@contextmanager
def delayed(ports: Mapping[str, int], seconds: float) -> Iterator[dict[str, int]]:
    """Listens on a new loopback port for each of these, and gives them by the same names.

    Args:
        ports: loopback ports that listen, by any name.
        seconds: added to each round trip; connecting takes one, as everywhere.
    """
    found: dict[str, int] = {}
    ready = threading.Event()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def listen() -> None:
        ended = asyncio.Event()
        running.append((asyncio.get_running_loop(), ended))
        for name, port in ports.items():
            server = await asyncio.start_server(_Line(port, seconds / 2), "127.0.0.1", 0)
            found[name] = server.sockets[0].getsockname()[1]
        ready.set()
        await ended.wait()

    # Its end also ends what is still being passed on.
    thread = threading.Thread(target=asyncio.run, args=[listen()], daemon=True)
    thread.start()
    try:
        if not ready.wait(10):
            raise RuntimeError("the delaying ports do not listen")
        yield found
    finally:
        for loop, ended in running:
            loop.call_soon_threadsafe(ended.set)
        thread.join(5)


class _Line:
    """Accepts connections to one port, and passes them on, each byte this much later."""

    def __init__(self, port: int, way: float) -> None:
        self._port, self._way = port, way

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * self._way)
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.close()
            return
        try:
            # Python 3.11 tells a cancelled connection as an error of asyncio's own.
            with suppress(asyncio.CancelledError):
                await asyncio.gather(self._pass(reader, outer), self._pass(inner, writer))
        finally:
            outer.close()
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Each chunk arrives after the same time, however many are under way: a long line, and not a slow one."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            with suppress(OSError):
                while True:
                    due, chunk = await queue.get()
                    await asyncio.sleep(due - loop.time())
                    if not chunk:
                        break
                    writer.write(chunk)
                    await writer.drain()
                # The other direction may go on.
                writer.write_eof()

        delivering = asyncio.create_task(deliver())
        chunk = b"-"
        while chunk:
            try:
                chunk = await reader.read(65536)
            except OSError:
                chunk = b""
            queue.put_nowait((loop.time() + self._way, chunk))
        await delivering
