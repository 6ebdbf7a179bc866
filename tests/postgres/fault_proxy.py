# SPDX-License-Identifier: MPL-2.0
"""A proxy between brokers and a server of PostgreSQL that breaks connections where a test wants it, as a thread of the
test's own. tests/postgres/relay.h does the same for a store without a broker."""

import asyncio
import re
import threading

#: A message that runs COMMIT: Bind of the prepared statement, or Parse of one without a name.
COMMIT = re.compile(rb"[BP]\0\0\0.\0COMMIT\0", re.DOTALL)


class FaultProxy:
    def __init__(self, port):
        self._target = port
        self._cuts = 0
        self._refuses = False
        self._links = set()
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        #: How many commits were cut.
        self.done = 0
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    # ---- Faults, from any thread ----------------------------------------------------------------------

    def cut_commits(self, count=1):
        """The next commits arrive, and half of the answer comes back; then their connections are broken."""
        self._do(lambda: setattr(self, "_cuts", count))

    def cut(self):
        """Breaks all connections."""
        self._do(self._abort_all)

    def refuse(self, refuses):
        """Has no connection from now on, or takes them again."""
        def change():
            self._refuses = refuses
            if refuses:
                self._abort_all()
        self._do(change)

    def end(self):
        self._do(self._server.close)
        self.cut()
        asyncio.run_coroutine_threadsafe(self._until_quiet(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _until_quiet(self):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _do(self, what):
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (what(), done.set()))
        assert done.wait(10), "the proxy is stuck"

    def _abort_all(self):
        for link in list(self._links):
            self._abort(link)

    def _abort(self, link):
        for writer in link:
            writer.transport.abort()

    # ---- Passing on, in its own thread ----------------------------------------------------------------

    async def _accept(self, reader, writer):
        try:
            if self._refuses:
                raise ConnectionError
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        link = (writer, up_writer)
        commits = asyncio.Queue()
        self._links.add(link)
        try:
            await asyncio.gather(self._pass_up(reader, up_writer, commits), self._pass_down(up_reader, writer, commits))
        except OSError:
            pass
        finally:
            self._abort(link)
            self._links.discard(link)

    async def _pass_up(self, reader, writer, commits):
        """A commit is sent when all before it has been answered, so what comes next is its answer."""
        while data := await reader.read(1 << 16):
            if self._cuts and COMMIT.search(data):
                self._cuts -= 1
                commits.put_nowait(True)
            writer.write(data)
            await writer.drain()
        raise ConnectionError

    async def _pass_down(self, reader, writer, commits):
        while data := await reader.read(1 << 16):
            if not commits.empty():
                self.done += 1
                writer.write(data[:len(data) // 2])
                await writer.drain()
                break
            writer.write(data)
            await writer.drain()
        raise ConnectionError
