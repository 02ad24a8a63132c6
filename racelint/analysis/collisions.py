"""Which accesses to a place can happen at the same time as another one, and which of them is shown."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Literal, get_args

from racelint.analysis.effects import MUTATING, Kind
from racelint.analysis.flow import Flows
from racelint.analysis.guards import Guards
from racelint.analysis.harmless import Harmless
from racelint.analysis.locks import Lock
from racelint.analysis.overlap import Overlap
from racelint.analysis.walk import Reached
from racelint.link.objects import Obj
from racelint.link.world import Cell, World

Keep = Literal["all", "lasting", "claims", "none", "resizing", "harmful"]
# Ways to one access that are paired with others: of one group of entry points, and of all.
WAYS_PER_GROUP = 8
WAYS_PER_ACCESS = 32


class Collisions:
    """Looks for them among the accesses to one place after the other."""

    def __init__(self, world: World, overlap: Overlap, guards: Guards, flows: Flows, harmless: Harmless) -> None:
        self.world = world
        self.overlap = overlap
        self.guards = guards
        self.flows = flows
        self.harmless = harmless
        self._contents: dict[tuple[object, str], list[Reached]] = {}
        self._by_effect: dict[tuple[object, str], list[Reached]] = {}
        self._candidates: dict[tuple[object, frozenset[str], Keep], tuple[Reached, ...]] = {}
        self._collisions: dict[tuple[object, ...], tuple[Reached, str] | None] = {}

    def keep(self, reached: Iterable[Reached]) -> None:
        """Note what is done to containers that may be kept in several slots."""
        for access in reached:
            if access.touch.content and not access.late and self._made_once(access.touch.place):
                self._contents.setdefault((access.touch.place, access.touch.effect), []).append(access)

    def changed(self, accesses: Iterable[Reached]) -> bool:
        """Whether anybody changes the place of these accesses, under whatever name."""
        return any(
            access.touch.effect in MUTATING
            or (access.touch.content and any((access.touch.place, effect) in self._contents for effect in MUTATING))
            for access in accesses
        )

    def at(self, accesses: list[Reached], *, everywhere: bool = False) -> None:
        """Make ready for (and sort) the accesses of one place; ``everywhere``: under all names it is known by."""
        accesses.sort(key=_nearest)
        self._by_effect = defaultdict(list)
        self._candidates = {}
        self._collisions = {}
        for access in accesses:
            self._by_effect[access.touch.place, access.touch.effect].append(access)
        if everywhere:
            for place in {access.touch.place for access in accesses if access.touch.content}:
                for effect in get_args(Kind):
                    if (place, effect) in self._contents:
                        self._by_effect[place, effect] = self._contents[place, effect]

    def others(self, access: Reached, effects: frozenset[str], keep: Keep = "all") -> tuple[Reached, ...]:
        """Accesses to the same place that do any of these and are worth keeping, nearest to an entry point first.

        Of one access reached in very many ways a few are enough to pair with.
        """
        key = (access.touch.place, effects, keep)
        found = self._candidates.get(key)
        if found is None:
            every = [other for effect in sorted(effects) for other in self._by_effect.get((key[0], effect), ())]
            every.sort(key=_nearest)
            ways: Counter[tuple[str, int, int]] = Counter()
            chosen = []
            for other in every:
                site = (other.touch.fid, other.touch.event)
                at_all, of_group = (*site, -1), (*site, other.group.index)
                if ways[at_all] >= WAYS_PER_ACCESS or ways[of_group] >= WAYS_PER_GROUP:
                    continue
                if self._kept(other, keep):
                    ways.update((at_all, of_group))
                    chosen.append(other)
            found = self._candidates[key] = tuple(chosen)
        return found

    def _kept(self, access: Reached, keep: Keep) -> bool:
        match keep:
            case "lasting":
                return not self.harmless.resets(access)
            case "claims":
                return self.harmless.claims(access)
            case "none":
                return access.touch.effect == "unbind" or self.flows[access.touch.fid].is_none(access.touch.value)
            case "resizing":
                return not (access.touch.aug or access.touch.there)
            case "harmful":
                return not access.touch.harmless
            case "all":
                return True

    def first(self, locks: list[Lock], side: Reached, candidates: Iterable[Reached]) -> tuple[Reached, str] | None:
        """The first candidate that may run while ``side`` does, on the same object, without a common lock."""
        side = side.itself
        entry = side.state.entry
        if not isinstance(candidates, tuple) or entry.serialised_by or entry.one_run_for:
            return self._first_collision(locks, side, candidates)
        made = self.overlap.provenance.of(side)
        own = side if locks else None  # under a lock its own key may count
        key = (candidates, tuple(locks), side.group.index, side.touch.base, id(entry), side.started, made, own)
        if key not in self._collisions:
            self._collisions[key] = self._first_collision(locks, side, candidates)
        return self._collisions[key]

    def _first_collision(
        self, locks: list[Lock], side: Reached, candidates: Iterable[Reached]
    ) -> tuple[Reached, str] | None:
        best: tuple[Reached, str] | None = None
        least = (True, 0, False)
        for other in candidates:
            if best is not None and (False, other.state.doubt, False) >= least:
                break
            if not self.overlap.same_object(side, other):
                continue
            # The surest first, of those one from another entry point.
            doubt, again = other.state.doubt + self.overlap.guess(side, other), other.state.entry is side.state.entry
            if best is not None and (False, doubt, again) >= least:
                continue
            why = self.overlap.why(side, other)
            if why is None or self.guards.common(locks, other.locks, side):
                continue
            if self.overlap.alone.serialised.apart(side, other) or self.overlap.apart(side, other):
                continue
            if self.overlap.own_keys.exclude(locks, side, other):
                continue
            rank = (not self.overlap.rooted(side, other), doubt, again)
            if best is None or rank < least:
                best, least = (other, why), rank
        return best

    def _made_once(self, place: Cell) -> bool:
        """Whether the function that makes a container runs once for who keeps it: then all who hold it hold one.

        What a helper makes for each of its callers is another container every time.
        """
        made = place[1]
        if not isinstance(made, Obj) or made.site is None or made.site[0] not in self.world.symbols.functions:
            return False
        facts = self.world.symbols.functions[made.site[0]].facts
        return facts.kind != "function" or facts.name == "__init__" or made.site[0] in self.overlap.mains


def _nearest(access: Reached) -> tuple[int, int, str, int, int]:
    """Sure ways first, then short ones."""
    state = access.state
    return (state.doubt, state.depth, state.fid, access.touch.event, access.group.index)
