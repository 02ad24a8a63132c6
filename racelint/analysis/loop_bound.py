"""Objects of an event loop that are used from another thread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from racelint.analysis.program import Program
from racelint.analysis.watch import Use
from racelint.contexts.entry_points import EntryPoint
from racelint.model import facts as f

# A function that knows these has thought of which thread it runs in.
KNOWING = frozenset(
    (
        "call_soon_threadsafe",
        "run_coroutine_threadsafe",
        "get_ident",
        "current_thread",
        "get_running_loop",
        "_get_running_loop",
    )
)


@dataclass(frozen=True, slots=True)
class Foreign:
    """``use`` happens in a thread that is not the loop's; ``other`` is a use (or the running) on the loop, if known."""

    use: Use
    other: Use | None
    why: str


def foreign(program: Program) -> Iterator[Foreign]:
    """Each use once, the surest and shortest way to it."""
    uses = sorted(program.watched.uses, key=_nearest)
    seen: set[tuple[str, int]] = set()
    for use in uses:
        touch, entry = use.at.touch, use.at.state.entry
        if use.method not in use.row.methods or use.made or (touch.fid, touch.event) in seen:
            continue
        if id(entry) in program.watched.hosts or _called_in_loop(program, entry) or _asks_first(program, use):
            continue
        if program.overlap.handed.given(use.at):
            continue  # no loop gets at what one run has for itself
        found = None
        if entry.kind in ("thread", "pool"):
            found = Foreign(use, _on_loop(program, use, uses), entry.why)
        elif use.row.runs and entry.kind != "event-loop":  # that may be the very loop
            found = _beside_its_loop(program, use, uses)
        if found is not None:
            seen.add((touch.fid, touch.event))
            yield found


def _on_loop(program: Program, use: Use, uses: list[Use]) -> Use | None:
    """Where the loop uses the same object."""
    return next(
        (
            other
            for other in uses
            if other.at.touch.place == use.at.touch.place
            and _in_loop(program, other)
            and (other.at.touch.fid, other.at.touch.event) != (use.at.touch.fid, use.at.touch.event)
            and program.overlap.same_object(use.at, other.at)
        ),
        None,
    )


def _in_loop(program: Program, use: Use) -> bool:
    return use.at.state.entry.kind == "event-loop" or use.method in use.row.runs


def _beside_its_loop(program: Program, use: Use, uses: list[Use]) -> Foreign | None:
    """A loop that runs in a thread of its own, used by who has started that thread."""
    for other in uses:
        entry = other.at.state.entry
        if (
            other.method not in other.row.runs
            or other.at.touch.place != use.at.touch.place
            or entry is use.at.state.entry
        ):
            continue
        why = program.overlap.why(use.at, other.at) if entry.kind == "thread" else None
        if why is not None and program.overlap.same_object(use.at, other.at):
            return Foreign(use, other, why)
    return None


def _called_in_loop(program: Program, entry: EntryPoint) -> bool:
    """Whether a library calls an entry point in the event loop of its thread."""
    method = program.world.symbols.functions[entry.target.name].facts.name
    return any(method in row.in_loop for row in program.world.tables.entry if entry.row in row.name)


def _asks_first(program: Program, use: Use) -> bool:
    """Whether a use is one branch of a function that sends the other threads another way."""
    facts = program.world.symbols.functions[use.at.touch.fid].facts
    if facts.events[use.at.touch.event].block == 0:
        return False
    names = {node.name for node in facts.nodes if isinstance(node, (f.Attr, f.Global, f.Imported))}
    return not KNOWING.isdisjoint(names)


def _nearest(use: Use) -> tuple[object, ...]:
    at = use.at
    return at.state.doubt, at.state.depth, at.touch.fid, at.touch.event, at.group.index
