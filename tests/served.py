"""A server of our own within this process, for tests of whoever asks it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from gptcli.backends import Backend
from gptcli.backends.served.offering import offered
from gptcli.server.desk import Desk
from gptcli.server.door import Door
from gptcli.types.compute import Compute
from gptcli.types.served import Greeting, Status
from tests.tasks import ended


class Server:
    """A desk in a thread of its own; doors are opened, and closed, as tests want them."""

    def __init__(self, backend: Backend, greeting: Greeting | None = None) -> None:
        self.greeting = greeting or Greeting(())
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.desk = Desk(backend)
        self._doors: list[Door] = []
        self.do(self._start())

    @classmethod
    def of(cls, compute: Compute) -> Server:
        """With a model of this disk."""
        return cls(*ended(offered(compute)))

    async def _start(self) -> None:
        self.desk.start()

    @property
    def asked(self) -> int:
        """How many questions have come so far."""
        return self.desk._last_key

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def open(self, path: Path, greeting: Greeting | None = None) -> Door:
        """Listen at a path."""
        door = Door(self.desk, greeting or self.greeting, self.status)
        self.do(door.open(path))
        self._doors.append(door)
        return door

    def status(self) -> Status:
        return Status(1, "", "tiny", "", 0.0, None, self.desk.open, 0.0, None)

    def shut(self) -> None:
        """Close every door that is open."""
        while self._doors:
            self.do(self._doors.pop().close())

    def close(self) -> None:
        self.shut()
        self.do(self.desk.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
