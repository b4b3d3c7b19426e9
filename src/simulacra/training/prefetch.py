"""The next draw is read, augmented and copied to the device by a thread of its own while this one trains."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from simulacra.training.batches import Batches
from simulacra.turns import Items


class Prefetched:
    """`batches` with the draw after the one that was read last prepared in advance: the same items.

    Draws are prepared by one thread, and by no other, one after the other. What goes wrong there is raised where the
    draw is read. Used as a context, which ends the thread.
    """

    def __init__(self, batches: Batches) -> None:
        self.batches = batches
        self._worker = ThreadPoolExecutor(1, "simulacra-prefetch")
        self._next: tuple[int, Future[Items]] | None = None

    def __getitem__(self, draw: int) -> Items:
        if self._next is not None and self._next[0] == draw:
            coming = self._next[1]
        else:
            coming = self._worker.submit(self.batches.__getitem__, draw)
        self._next = draw + 1, self._worker.submit(self.batches.__getitem__, draw + 1)
        return coming.result()

    def __enter__(self) -> Prefetched:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._worker.shutdown(cancel_futures=True)
