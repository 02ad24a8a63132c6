"""The accesses to shared places that a walk reaches, those that are alike put together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from racelint.analysis.bodies import Held
from racelint.analysis.effects import Touch
from racelint.analysis.freshness import root
from racelint.analysis.overlap import LIBRARY
from racelint.analysis.walk import CALLERS, Reached, State, Walker, Watch, module
from racelint.contexts.entry_points import EntryPoint
from racelint.link.call_sites import Event
from racelint.link.objects import Obj
from racelint.link.world import World
from racelint.model import facts as f

# One access on more objects than this (under the same locks) teaches nothing new.
BASES_PER_ACCESS = 4
CONSTRUCTORS = frozenset(("__init__", "__new__", "__post_init__"))


def made_by(entry: EntryPoint, world: World) -> Obj | None:
    """The object that an entry point makes, when it is a constructor."""
    made = entry.target.owner
    return world.heap.plain(made) if made is not None and made.fresh else None


def _being_made(world: World, made: Obj, state: State) -> bool:
    """Whether a fresh object that a function was given comes from its constructor, which has not returned yet."""
    inside: State | None = state
    maker = ""
    while inside is not None and any(
        root(world, obj) is made for _, objs in inside.params for obj in objs if obj.fresh
    ):
        maker, inside = inside.fid, inside.parent
    return bool(maker) and world.symbols.functions[maker].facts.name in CONSTRUCTORS


class Records(Watch):
    """Keeps every shared access: of those on the same objects under the same locks, one for each group.

    ``places``: the names of the only places that are wanted.
    """

    def __init__(self, places: Collection[str] | None = None) -> None:
        self.places = places
        self._reached: dict[tuple[object, ...], Reached] = {}
        self._alike: dict[tuple[object, ...], int] = defaultdict(int)

    @property
    def reached(self) -> tuple[Reached, ...]:
        """The accesses, in the order in which they were first reached."""
        return tuple(self._reached.values())

    def touched(
        self,
        walker: Walker,
        touch: Touch,
        state: State,
        held: Held,
        started: frozenset[Event],
        published: Collection[Obj],
    ) -> None:
        """Keep an access if others can get to what it touches."""
        if self.places is not None and touch.name not in self.places:
            return
        world, group = walker.world, walker.group
        base = touch.base
        late = False
        if base is not None:
            if base.fresh:
                root_object = root(world, base)
                if root_object in published:
                    late = _being_made(world, root_object, state)
                    if late and group.api not in ("", LIBRARY) and root_object is made_by(state.entry, world):
                        return  # what users start on other instances has not been started on this one
                    touch = touch.on(world.heap.shared(base))
                elif walker.freshness.given_away(base, started):
                    touch = touch.on(world.heap.plain(base))
                else:
                    return
                base = touch.base
            assert base is not None
            if not walker.sharing.shared(base):
                return
        start = state.entry.target.name if group.application else ""
        locks = tuple([lock for lock, _ in held]) if held else ()
        # Closures that use a key of their own are told apart.
        captured = touch.key >= 0 and isinstance(world.symbols.functions[touch.fid].facts.nodes[touch.key], f.Captured)
        closure = state.bindings if captured else ()
        key = (group.index, touch.event, touch.fid, touch.place, touch.effect, base, start, locks, closure)
        known = self._reached.get(key)
        if known is None:
            alike = (group.index, touch.event, touch.fid, touch.effect, start, locks, closure)
            self._alike[alike] += 1
            if self._alike[alike] > BASES_PER_ACCESS:
                return
            self._reached[key] = Reached(touch, state, group, held, started, late=late, alike=[state])
        else:
            if len(known.alike) <= CALLERS and state not in known.alike:
                known.alike.append(state)
            if group.main and not started <= known.started:
                # Show the way that comes after more has been started: that is the one that can meet it.
                known.state = state
            if started is not known.started:
                known.started = walker.starts.union(known.started, started)
            if known.state.entry is not state.entry and (
                known.other is None or module(known.other) == module(known.state) != module(state)
            ):
                known.other = state
