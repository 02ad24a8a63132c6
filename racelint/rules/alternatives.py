"""What the field would weigh instead of a plain lock: one atomic operation, copy-on-write, a queue, a readers' lock.

The choice follows how a place is used: what is read far more often than changed wants other means than what is counted
up from everywhere. Sources: the atomic operations of CPython's built-in containers (docs.python.org/3/library/
threadsafety.html), Lea, "Concurrent Programming in Java" (copy-on-write, confinement), and Courtois, Heymans and Parnas
(1971) for readers and writers.
"""

from __future__ import annotations

from collections.abc import Iterable

from racelint.analysis.effects import MUTATING
from racelint.analysis.races import Race
from racelint.analysis.walk import Reached

# A place is read mostly when there are at least this many readers, and this many for each writer.
READERS_MIN = 3
READERS_PER_WRITER = 2
BUILT_IN = frozenset(("dict", "list", "set", "collections.deque", "collections.defaultdict", "collections.OrderedDict"))


def alternative(race: Race, accesses: Iterable[Reached], asks: bool) -> str:
    """One sentence on what may be better than a lock here, or nothing.

    ``accesses``: all to the place of the race. ``asks``: its check only asks whether something is there.
    """
    every = list(accesses)
    writers = {_site(access): access for access in every if access.touch.effect in MUTATING}
    readers = len({_site(access) for access in every} - writers.keys())
    mostly_read = readers >= READERS_MIN and readers >= READERS_PER_WRITER * len(writers)
    contexts = {access.state.entry for access in writers.values()}
    content = race.first.touch.content and race.first.touch.atomic and race.first.touch.type in BUILT_IN
    match race.pattern:
        case "check-then-act" if race.act is not None and race.act.touch.content and race.act.touch.atomic:
            if race.act.touch.effect == "delete":
                return "one atomic operation may do: `pop(key, None)` (of a set: `discard`) tests and removes at once"
            if race.act.touch.effect in ("item", "read"):
                return "one atomic operation may do: `get(key)` (or `pop`) once, and test what it gave"
            if race.act.touch.effect == "insert" and asks:
                return (
                    "one atomic operation may do: `setdefault(key, value)`, where making a value in vain costs nothing"
                )
        case "iterate" if content:
            return (
                "`list(...)` of a built-in container is one step in CPython: a copy to iterate over needs no lock there"
            )
        case "read-modify-write" if len(contexts) > 1:
            return "let one thread own it and have the others send their changes through a queue.Queue"
        case "lazy-singleton":
            return "make it before the first thread starts, and nobody needs a lock to use it"
        case _:
            pass
    if race.pattern not in ("write", "guard", "iterate"):
        return ""
    if mostly_read and race.guard is not None:
        return f"{readers} reads and {len(writers)} writes: a readers-writer lock would let the reads overlap"
    if mostly_read:
        return (
            f"{readers} reads and {len(writers)} writes: bind a new object instead of changing this one "
            "(copy-on-write), and the reads need no lock"
        )
    return ""


def _site(access: Reached) -> tuple[str, int]:
    return access.touch.fid, access.touch.line
