"""The threads that call the application, and the requests that wait for one."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from waitress.task import ThreadedTaskDispatcher

from keva.clocks import elapsed as now
from keva.http.task import Task


class Workers(ThreadedTaskDispatcher):
    """As many threads as asked for, and one more for each that waits for something other than the processor."""

    queue: deque[Task]

    def __init__(self, threads: int) -> None:
        super().__init__()
        self._wanted: int | None = threads  # None once they have ended
        self._counting = threading.Lock()
        self._started: list[threading.Thread] = []

    def start(self) -> None:
        self._change(0)

    def start_new_thread(self, target: Callable[[int], None], thread_no: int) -> None:
        thread = threading.Thread(target=target, args=(thread_no,), name=f"keva-{thread_no}", daemon=True)
        self._started = [started for started in self._started if started.is_alive()]
        self._started.append(thread)
        thread.start()

    def add_task(self, task: Task) -> None:
        # Waitress would also warn of each one that waits, which at load costs more than the request.
        with self.lock:
            self.queue.append(task)
            self.queue_cv.notify()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While the block lasts, another thread works in place of this one."""
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    def take_back(self, since: float) -> list[Task]:
        """Those that have waited since then or longer, which no thread will get any more; none that is begun."""
        with self.lock:
            queued, late = list(self.queue), list[Task]()
            self.queue.clear()
            for task in queued:
                (late if task.queued_at < since and not task.begun else self.queue).append(task)
        return late

    def end(self, seconds: float) -> None:
        """Waits at most so long for them to finish what they are at."""
        with self._counting:
            self._wanted = None
            self.set_thread_count(0)
        over = now() + seconds
        for thread in self._started:
            thread.join(max(0.0, over - now()))

    def _change(self, by: int) -> None:
        with self._counting:
            if self._wanted is not None:
                self._wanted += by
                self.set_thread_count(self._wanted)
