"""What frameworks do to the containers they hand out: the other side of every access by a handler.

No code of the project does it, so nothing is walked: an access stands at the function that says what goes in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from racelint.analysis.effects import FROM_EFFECT, Touch
from racelint.analysis.walk import Group, Reached, State
from racelint.contexts.entry_points import EntryPoint
from racelint.link.world import Feed, World
from racelint.model import facts as f


def contexts(world: World) -> Iterator[EntryPoint]:
    """Where each container that a framework fills is changed."""
    for feed in world.feeds:
        info = world.symbols.functions[feed.function]
        target = world.heap.make("func", feed.function)
        row = feed.row
        yield EntryPoint(
            target,
            row.context,
            False,
            False,
            row.why,
            row.name[0],
            info.path,
            info.facts.line,
            server=row.server,
            feed=feed,
        )


def changes(world: World, entries: Iterable[EntryPoint], first: int) -> Iterator[Reached]:
    """The changes made in these contexts, each in a group of its own; ``first`` is the index of the first group."""
    for index, entry in enumerate(entries, start=first):
        assert entry.feed is not None
        group = Group(index, (entry,), entry.kind, False)
        state = State(entry.function, (), (), (), entry, None, -1, 0, 0, frozenset())
        for touch in _touches(world, entry.feed):
            yield Reached(touch, state, group, (), frozenset())


def _touches(world: World, feed: Feed) -> Iterator[Touch]:
    facts = world.symbols.functions[feed.function].facts
    given = next((index for index, event in enumerate(facts.events) if isinstance(event, f.Return)), None)
    if given is None:
        return  # it returns nothing, so nothing ever goes in
    for obj in feed.objs:
        for effect in feed.row.changes:
            yield Touch(
                ("e", obj), obj, feed.name, FROM_EFFECT[effect], True, feed.function, given, facts.line, type=obj.name
            )
