"""A TCP proxy that does to connections what networks do: it delays them, cuts them anywhere, and refuses them."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

_PIECE = 16_384


class FaultyProxy:
    """Between clients and one server, all on this machine. `cut_chance` is the chance of each piece of a stream to be
    its last, half of it still delivered; `delay` is the longest time that a piece is held, in seconds.

    async with FaultyProxy(server.port, Random(1)) as proxy:
        proxy.cut_chance, proxy.delay = 0.02, 0.05
        client = AsyncClient(proxy.url)
        await proxy.cut_all()
    """

    def __init__(self, port: int, chance: Random) -> None:
        self.cut_chance = 0.0
        self.delay = 0.0
        self.is_refusing = False
        self.cuts = 0
        self._target = port
        self._chance = chance
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        """Where clients connect."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """The same as an address."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> FaultyProxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut_all()
        await self._server.wait_closed()

    def cut_all(self) -> None:
        """Cut every connection now."""
        for writer in list(self._writers):
            writer.transport.abort()

    def heal(self) -> None:
        """Be a good network from now on."""
        self.cut_chance = self.delay = 0.0
        self.is_refusing = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.is_refusing:
                raise ConnectionRefusedError
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = (writer, inner_writer)
        self._writers.update(ends)
        try:
            await asyncio.gather(self._pump(reader, inner_writer, ends), self._pump(inner_reader, writer, ends))
        finally:
            self._writers.difference_update(ends)
            for end in ends:
                end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: tuple[asyncio.StreamWriter, ...]
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE):
                if self.delay:
                    await asyncio.sleep(self._chance.uniform(0, self.delay))
                if self._chance.random() < self.cut_chance:
                    self.cuts += 1
                    writer.write(piece[: len(piece) // 2])
                    break
                writer.write(piece)
                await writer.drain()
        for end in ends:
            end.transport.abort()
