"""What one start alone passes on: each thread that runs one function has its share.

``Thread(target=read, args=(out, lines))`` and ``Thread(target=read, args=(err, errors))`` run one function beside
itself, but on two lists. Source: the ownership of arguments in Blackshear et al., "RacerD" (OOPSLA 2018), 4.2, told
apart by the calls that pass them.
"""

from __future__ import annotations

from collections.abc import Iterator

from racelint.analysis.handed import passed_on
from racelint.analysis.keeping import MANY, Keeping
from racelint.analysis.walk import Reached
from racelint.contexts.entry_points import EntryPoint
from racelint.link.call_sites import Event, loops
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.world import World
from racelint.model import facts as f


class Shares:
    """Knows whether what an access is to is known to one run of its entry point only."""

    def __init__(self, world: World, keeping: Keeping) -> None:
        self.world = world
        self.keeping = keeping
        self._one: dict[tuple[EntryPoint, Obj, Obj], bool] = {}

    def given(self, access: Reached) -> bool:
        """Whether an access is to an object that one start has passed on and no other, or to a part of it."""
        base, entry = access.touch.base, access.state.entry
        if base is None or not entry.passes:
            return False
        plain = self.world.heap.plain
        key = (entry, plain(base.whole), plain(base))
        if key not in self._one:
            self._one[key] = self._by_one_start(*key)
        return self._one[key]

    def _by_one_start(self, entry: EntryPoint, obj: Obj, part: Obj) -> bool:
        if obj.site is None or obj.kind not in ("inst", "ext"):
            return False
        passed = {event: frozenset(self._passed(event)) for event in sorted(entry.passes)}
        passing = [event for event, objs in passed.items() if obj in objs]
        if len(passing) != 1 or passing[0][0] != obj.site[0] or not self._anew(passing[0], obj):
            return False
        others = frozenset().union(*(objs for event, objs in passed.items() if event != passing[0]))
        return self._only_in_containers(obj, others) and (part is obj or self._only_in_containers(part, others, ("a",)))

    def _only_in_containers(self, obj: Obj, others: frozenset[Obj], besides: tuple[str, ...] = ()) -> bool:
        """Whether an object is kept, but for some cells, only in containers, of which none is passed to ``others``."""
        seen, work = {obj}, [obj]
        while work:
            one = work.pop()
            for cell in self.keeping.cells(one):
                holder = cell[1]
                if one is obj and cell[0] in besides:
                    continue
                if not isinstance(holder, Obj) or holder.kind != "ext" or holder in others or len(seen) > MANY:
                    return False
                if holder not in seen:
                    seen.add(holder)
                    work.append(holder)
        return True

    def _passed(self, event: Event) -> Iterator[Obj]:
        """What a start passes on."""
        call, evaluator = self._call(event)
        for node in passed_on(evaluator.info.facts, call, coroutines=True):
            yield from map(self.world.heap.plain, evaluator.eval(node))

    def _anew(self, event: Event, obj: Obj) -> bool:
        """Whether an object is made in each loop that the start stands in."""
        call, evaluator = self._call(event)
        made = self.world.made_by(obj)
        around = loops(evaluator.info.facts, call.block)
        return around <= (loops(made[0].facts, made[1].block) if made is not None else frozenset())

    def _call(self, event: Event) -> tuple[f.Call, Evaluator]:
        info = self.world.symbols.functions[event[0]]
        call = info.facts.events[event[1]]
        assert isinstance(call, f.Call)
        return call, Evaluator(self.world, info)
