"""Which threads run the event loops: tasks of one loop take turns, those of loops in different threads do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from racelint.analysis.walk import Group
from racelint.contexts.entry_points import EntryPoint
from racelint.link.call_sites import Event

# A thread that runs a loop: the group of its entry point, the call that gives a server a thread, or the main thread.
Thread: TypeAlias = int | Event | str
MAIN = "main"


class Loops:
    """Finds the threads whose loops run an entry point.

    ``sites``: where something is begun, or a server run, to the groups that come there. ``handed``: calls that give a
    server a thread of its own.
    """

    def __init__(self, groups: Sequence[Group], sites: Mapping[Event, set[int]], handed: frozenset[Event]) -> None:
        self.groups = groups
        self.sites = sites
        self.handed = handed
        self._found: dict[int, frozenset[Thread] | None] = {}

    def threads(self, entry: EntryPoint) -> frozenset[Thread] | None:
        """The threads whose loops may run an entry point, or None when that is not known."""
        if id(entry) not in self._found:
            self._found[id(entry)] = self._threads(entry, frozenset())
        return self._found[id(entry)]

    def apart(self, a: EntryPoint, b: EntryPoint) -> bool:
        """Whether two entry points surely run on loops of different threads."""
        first, second = self.threads(a), self.threads(b)
        return bool(first) and bool(second) and first.isdisjoint(second)  # type: ignore[union-attr,arg-type]

    def beside_main(self, entry: EntryPoint) -> bool:
        """Whether the loop of an entry point surely runs in another thread than the main one."""
        if entry.foreign_loop:
            return any(self.groups[index].application for site in entry.begins for index in self.sites.get(site, ()))
        threads = self.threads(entry)
        return bool(threads) and MAIN not in threads  # type: ignore[operator]

    def in_main(self, entry: EntryPoint) -> bool:
        """Whether the loop of an entry point surely runs in the main thread."""
        threads = self.threads(entry)
        return not entry.foreign_loop and bool(threads) and threads <= {MAIN}  # type: ignore[operator]

    def _threads(self, entry: EntryPoint, asked: frozenset[int]) -> frozenset[Thread] | None:
        if not entry.on_loop_of:
            return None
        found: set[Thread] = set()
        for site in entry.on_loop_of:
            if site in self.handed:
                found.add(site)
                continue
            groups = self.sites.get(site)
            if not groups:
                return None
            for index in groups - asked:
                threads = self._of_group(self.groups[index], asked | {index})
                if threads is None:
                    return None
                found |= threads
        return frozenset(found)

    def _of_group(self, group: Group, asked: frozenset[int]) -> frozenset[Thread] | None:
        """The threads that run what a group runs; a pool, a signal handler or a user of an interface may be any."""
        if group.main:
            return frozenset((MAIN,)) if group.application else None
        if group.kind == "thread":
            return frozenset((group.index,))
        if group.kind != "event-loop":
            return None
        found: set[Thread] = set()
        for entry in group.entries:
            threads = self._threads(entry, asked)
            if threads is None:
                return None
            found |= threads
        return frozenset(found)
