"""A network that fails: relays TCP from one loopback address to another, where connections can be cut, held up and half closed."""

import asyncio
import random
import threading

NEAR, FAR = "127.0.0.2", "127.0.0.1"


class Connection:
    """Two directions. `flows` is cleared while nothing may pass."""

    def __init__(self, port):
        self.port = port
        self.flows = asyncio.Event()
        self.flows.set()
        self.writers, self.shut = [], set()  # those that have been told the end

    def cut(self):
        for writer in self.writers:
            writer.transport.abort()

    def end(self, writer):
        """No more comes; what the other side still sends this way is lost."""
        self.shut.add(writer)
        try:
            writer.write_eof()
        except OSError:
            pass  # it is gone altogether


class Network:
    """Whoever dials 127.0.0.2 at one of `ports` reaches 127.0.0.1 at that port, if this network lets it. Use with `with`."""

    def __init__(self, ports):
        self.ports, self.loop, self.connections = ports, asyncio.new_event_loop(), set()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.faults = {"cut": 0, "cut all": 0, "held up": 0, "half closed": 0}

    def __enter__(self):
        self.thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_):
        self._run(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def fail(self, rng):
        """One fault of one connection, or a cut of all to one port."""
        self._run(self._fail(random.Random(rng.random())))

    # ── On the loop ──────────────────────────────────────────────────────────────────────────
    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    async def _listen(self):
        self.servers = [await asyncio.start_server(self._relay(port), NEAR, port)
                        for port in self.ports]

    async def _close(self):
        for server in self.servers:
            server.close()
        for connection in list(self.connections):
            connection.cut()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _fail(self, rng):
        if not self.connections:
            return
        one = rng.choice(sorted(self.connections, key=id))
        what = rng.choice(sorted(self.faults))
        self.faults[what] += 1
        if what == "cut":
            one.cut()
        elif what == "cut all":
            for other in [c for c in self.connections if c.port == one.port]:
                other.cut()
        elif what == "held up":
            one.flows.clear()
            self.loop.call_later(rng.uniform(0.05, 1.5), one.flows.set)
        elif len(one.writers) == 2:
            one.end(one.writers[rng.randrange(2)])

    def _relay(self, port):
        async def relay(near_reader, near_writer):
            connection = Connection(port)
            connection.writers.append(near_writer)
            self.connections.add(connection)
            try:
                far_reader, far_writer = await asyncio.open_connection(FAR, port)
                connection.writers.append(far_writer)
                await asyncio.gather(self._pass(connection, near_reader, far_writer),
                                     self._pass(connection, far_reader, near_writer))
            except OSError:
                pass
            finally:
                self.connections.discard(connection)
                connection.cut()
        return relay

    @staticmethod
    async def _pass(connection, reader, writer):
        while data := await reader.read(1 << 16):
            await connection.flows.wait()
            if writer not in connection.shut:
                writer.write(data)
                await writer.drain()
        connection.end(writer)
