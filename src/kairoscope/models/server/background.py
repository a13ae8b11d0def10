"""Many answers at once inside, a plain iterator outside."""

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Context = TypeVar("Context")


class Background(Generic[Context]):
    """An event loop in a thread of its own, with something open in it, such as a connection."""

    def __init__(self, opened: Callable[[], AbstractAsyncContextManager[Context]]) -> None:
        """Start the loop and open the context in it; close both with `close`."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="server")
        self._thread.start()
        self._tasks: set[Future[Any]] = set()
        self._opened = opened()
        self.context: Context = self.run(self._opened.__aenter__())

    def run(self, work: Awaitable[Result]) -> Result:
        """Wait for one piece of work."""

        async def wrapped() -> Result:
            return await work

        return asyncio.run_coroutine_threadsafe(wrapped(), self._loop).result()

    def finished(
        self,
        items: Iterable[Item],
        work: Callable[[Context, Item], Coroutine[Any, Any, Result]],
        *,
        at_once: int,
    ) -> Generator[Result, None, None]:
        """Results in the order in which they come; never more than `at_once` items under way.

        Items are taken in the caller's thread, and only while it waits for results. Where a piece
        of work raises, what had finished by then comes first; the rest is given up.
        """
        done: queue.SimpleQueue[Future[Result]] = queue.SimpleQueue()
        source = iter(items)
        under_way: set[Future[Result]] = set()
        try:
            exhausted = False
            while True:
                while not exhausted and len(under_way) < at_once:
                    for item in source:
                        future = asyncio.run_coroutine_threadsafe(
                            work(self.context, item), self._loop
                        )
                        under_way.add(future)
                        future.add_done_callback(done.put)
                        break
                    else:
                        exhausted = True
                if not under_way:
                    return
                future = done.get()
                under_way.discard(future)
                error = future.exception()
                if error is not None:
                    yield from _succeeded(done, under_way)
                    raise error
                yield future.result()
        finally:
            for future in under_way:
                future.cancel()

    def close(self) -> None:
        """Give up what is under way, close the context and end the loop."""
        if self._loop.is_closed():
            return
        if threading.current_thread() is self._thread:
            # Of something that was left open and is cleared away by chance in here.
            self._loop.create_task(self._stop()).add_done_callback(lambda _: self._loop.stop())
            return
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    async def _stop(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._opened.__aexit__(None, None, None)


def _succeeded(
    done: "queue.SimpleQueue[Future[Result]]", under_way: set[Future[Result]]
) -> Iterator[Result]:
    """What has finished beside something that failed."""
    while True:
        try:
            future = done.get_nowait()
        except queue.Empty:
            return
        under_way.discard(future)
        if not future.cancelled() and future.exception() is None:
            yield future.result()
