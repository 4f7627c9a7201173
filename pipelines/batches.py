"""Edits of many shards, judged together: a batch is split only where its sum does not hold.

An edit gets the same verdict as alone, but for what edits do to each other: that is seen when the sum of a merge
request is judged.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from operators.data import Edit, Ruling, Shard, Sharing
from operators.hunks import Conflict
from operators.refine import timed
from operators.union import union
from operators.workspace import Workspace

FIRST, MOST = 16, 128  # edits in a batch: to begin with, and as long as all hold
PAUSE = 0.3  # seconds without a newcomer after which a batch is not waited for any longer

Call = Callable[..., Any]


@dataclass(slots=True)
class _Item:
    ws: Workspace
    shard: Shard
    edit: Edit
    call: Call
    answer: Future[Ruling] = field(default_factory=Future)
    took: float = 0.0
    """Its part, in seconds, of the runs that judged it."""


class Batches:
    """Judges edits for the threads of one process."""

    def __init__(self, wide: int) -> None:
        """`wide`: batches of one check and repository that are judged at a time."""
        self._wide, self._lock = wide, threading.Lock()
        self._queues: dict[tuple[str, Sharing], _Queue] = {}

    def judge(self, check: Sharing, ws: Workspace, shard: Shard, edit: Edit, call: Call) -> Ruling:
        """Return the ruling on one edit, once it is known. `call`: see pipelines.work. Raises what the check raises."""
        with self._lock:
            queue = self._queues.setdefault((shard.repo, check), _Queue(check, self._wide))
        item = _Item(ws, shard, edit, call)
        queue.put(item)
        return item.answer.result()


class _Queue:
    """What waits for one check in one repository, and the threads that see to it."""

    def __init__(self, check: Sharing, wide: int) -> None:
        self._check, self._wide = check, wide
        self._lock, self._filling = threading.Lock(), threading.Lock()
        self._waiting: deque[_Item] = deque()
        self._parts: deque[list[_Item]] = deque()
        self._size, self._threads = FIRST, 0

    def put(self, item: _Item) -> None:
        with self._lock:
            self._waiting.append(item)
        self._more()

    def _more(self) -> None:
        with self._lock:
            if self._threads == self._wide:
                return
            self._threads += 1
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while batch := self._next():
            try:
                self._settle(batch)
            except Exception as fault:
                for item in batch:
                    if not item.answer.done():
                        item.answer.set_exception(fault)

    def _next(self) -> list[_Item]:
        """Return what to judge next, nothing when there is nothing left to do."""
        with self._filling:  # only one thread waits for newcomers
            while not self._parts and 0 < (seen := len(self._waiting)) < self._size:
                time.sleep(PAUSE)
                if len(self._waiting) == seen:
                    break
            with self._lock:
                if self._parts:
                    return self._parts.popleft()
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._size))]
                self._threads -= not batch
                return batch

    def _settle(self, batch: list[_Item]) -> None:
        """Judge a batch, answer whom the ruling answers, and have the others judged in two halves."""
        try:
            whole, ruling = self._judge(batch)
        except Conflict:
            return self._split(batch)
        except Exception as fault:
            if len(batch) == 1:
                return batch[0].answer.set_exception(fault)
            return self._split(batch)
        for item in batch:
            item.took += ruling.seconds / len(batch)
        if len(batch) == 1:
            return batch[0].answer.set_result(replace(ruling, seconds=batch[0].took))
        shares = [self._check.share(item.ws.over(item.edit), item.shard, item.edit, whole, ruling) for item in batch]
        kind, start, all_of_it = ruling.kind, ruling.start, ruling.whole
        for item, share in zip(batch, shares, strict=True):
            if share:
                own = replace(share, kind=kind, seconds=item.took, start=start, whole=all_of_it)
                item.answer.set_result(own)
        left = [item for item, share in zip(batch, shares, strict=True) if share is None]
        self._size = max(FIRST // 4, self._size // 2) if left else min(MOST, 2 * self._size)
        return self._split(left)

    def _judge(self, batch: Sequence[_Item]) -> tuple[Workspace, Ruling]:
        """Return the sum of a batch and the ruling on it. Raises Conflict, and what the check raises."""
        first = batch[0]
        shard, edit = first.shard, first.edit
        if len(batch) > 1:
            edit = Edit(union(first.ws, [item.edit.files for item in batch]))
            paths = tuple(dict.fromkeys(path for item in batch for path in item.shard.paths))
            shard = Shard("", shard.repo, shard.commit, paths)
        return first.ws.over(edit), first.call(_ruling, first.ws, self._check, shard, edit)

    def _split(self, batch: list[_Item]) -> None:
        half = (len(batch) + 1) // 2
        for part in (batch[:half], batch[half:]):
            if part:
                with self._lock:
                    self._parts.append(part)
                self._more()


def _ruling(ws: Workspace, check: Sharing, shard: Shard, edit: Edit) -> Ruling:
    return timed(check, ws.over(edit), shard, edit)
