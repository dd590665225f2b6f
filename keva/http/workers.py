"""The threads that call the application, and the requests that wait for one."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from waitress.task import ThreadedTaskDispatcher

from keva.clocks import elapsed as now
from keva.http.task import Task


class Turns:
    """The queue of tasks: first calls, and answers that go on, each in its order and one of them after the other.

    So a few clients that read long answers fast do not keep everybody else waiting.
    """

    def __init__(self) -> None:
        self._queues = deque[Task](), deque[Task]()
        self._turn = False

    def __len__(self) -> int:
        return sum(map(len, self._queues))

    def append(self, task: Task) -> None:
        self._queues[task.begun].append(task)

    def popleft(self) -> Task:
        self._turn = not self._turn
        queue = self._queues[self._turn] or self._queues[not self._turn]
        return queue.popleft()

    def take_first_calls(self, since: float) -> list[Task]:
        """Takes out those that were queued before that."""
        queue, taken = self._queues[False], list[Task]()
        while queue and queue[0].queued_at < since:
            taken.append(queue.popleft())
        return taken


class Workers(ThreadedTaskDispatcher):
    """As many threads as asked for, and one more for each that waits for something other than the processor."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        self.queue = Turns()
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
            return self.queue.take_first_calls(since)

    def end(self, seconds: float) -> None:
        """Waits at most so long for them to finish what they are at, and lets go of what is still queued."""
        with self._counting:
            self._wanted = None
            self.set_thread_count(0)
        over = now() + seconds
        for thread in self._started:
            thread.join(max(0.0, over - now()))
        with self.lock:
            left = [self.queue.popleft() for _ in range(len(self.queue))]
        for task in left:
            task.close()

    def _change(self, by: int) -> None:
        with self._counting:
            if self._wanted is not None:
                self._wanted += by
                self.set_thread_count(self._wanted)
