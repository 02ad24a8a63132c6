"""Locks that a signal handler takes while the main thread, which it has interrupted, holds them.

A handler runs in the main thread between two steps of whatever that was doing; what it has interrupted goes on when it
has returned. So a lock held there by then is never released, unless it lets its own holder in. Source:
docs.python.org/3/library/signal.html#execution-of-python-signal-handlers. A handler that a loop runs between its
callbacks (``add_signal_handler``) interrupts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from racelint.analysis.deadlocks import Deadlocks, doubt, frames, fresh, nearest, patient
from racelint.analysis.locks import same_lock
from racelint.analysis.overlap import Overlap
from racelint.analysis.watch import Take


@dataclass(frozen=True, slots=True)
class Interrupt:
    """A signal handler takes a lock (``take``) that the main thread may hold at the time (``held``)."""

    held: Take
    take: Take
    guess: int

    @property
    def doubt(self) -> int:
        """How doubtful the ways to both are, and that it is one lock."""
        return max(self.held.at.state.doubt, doubt(self.take, self.take)) + self.guess


class Interrupts:
    """Looks for them among the locks that walks have seen being taken."""

    def __init__(self, deadlocks: Deadlocks, overlap: Overlap) -> None:
        self.deadlocks = deadlocks
        self.overlap = overlap

    def find(self) -> Iterator[Interrupt]:
        """One for each place where a handler takes a lock, with the surest and nearest holder."""
        takes = sorted(self.deadlocks.takes, key=nearest)
        seen: set[tuple[str, int]] = set()
        for take in takes:
            place = (take.at.state.fid, take.region)
            if take.at.state.entry.kind != "signal" or place in seen or not self._waits(take):
                continue
            found = [
                Interrupt(held, take, self.overlap.guess(held.at, take.at))
                for held in takes
                if self._in_main_thread(held) and self._one_lock(held, take) and self._installed(held, take)
            ]
            if found:
                seen.add(place)
                yield min(found, key=lambda interrupt: interrupt.doubt)

    def _waits(self, take: Take) -> bool:
        """Whether a handler waits without end for a lock that does not let its holder in, whoever holds it."""
        lock = take.lock
        if lock.keyed or lock.reading or not lock.threads or fresh(take):
            return False
        if not self.deadlocks.plain(lock) or not patient(self.deadlocks.world, take):
            return False
        if any(same_lock(outer.lock, lock) for outer in take.before):
            return False  # then it waits for itself in any case
        paths = self.deadlocks.paths(take)
        return not any(free in paths for state, event in frames(take) for free in self.deadlocks.free(state, event))

    def _in_main_thread(self, held: Take) -> bool:
        """Whether a lock is held in the main thread: by the program, or by a task whose loop surely runs there."""
        if held.lock.keyed or fresh(held):
            return False
        if held.at.group.main:
            return True
        return held.at.state.entry.kind == "event-loop" and self.overlap.loops.in_main(held.at.state.entry)

    def _one_lock(self, held: Take, take: Take) -> bool:
        return (
            same_lock(held.lock, take.lock)
            and self.overlap.same_object(held.at, take.at)
            and not self.overlap.apart(held.at, take.at)
        )

    def _installed(self, held: Take, take: Take) -> bool:
        """Whether the handler may be installed by the time the lock is held."""
        return not self.overlap.before(held.at, take.at.state.entry)
