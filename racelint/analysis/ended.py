"""What has ended by the time that a function returns: ``def stop(self): self.thread.join()``.

Whoever calls such a function goes on alone, as if it had waited itself. It counts where it is surely done: under no
test, or under one that asks for the thread itself (``if self.thread is not None:``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from racelint.link.again import children, within
from racelint.link.call_sites import Event
from racelint.link.calls import targets
from racelint.link.world import World
from racelint.model import facts as f

Sites = frozenset[Event]
NONE: Sites = frozenset()
# Blocks whose body runs whenever what is around them does.
PLAIN = frozenset(("body", "with", "try", "finally", "loop"))


def ended_by_calls(
    world: World, begins: Sites, ends: Mapping[Event, Sites], reach: Mapping[str, Sites]
) -> dict[Event, Sites]:
    """``ends`` (a call event to the begin events of what is over then) with the calls of functions that wait."""
    found = dict(ends)
    callers: dict[str, list[Event]] = defaultdict(list)
    for site, callees in world.callees.items():
        called = {target.name for callee in callees for target in targets(world, callee)}
        if len(called) == 1:
            callers[called.pop()].append(site)
    over: dict[str, Sites] = {}
    work = sorted({fid for fid, _ in ends})
    while work:
        fid = work.pop()
        known = _over(world, fid, begins, found, reach)
        if known <= over.get(fid, NONE):
            continue
        over[fid] = over.get(fid, NONE) | known
        for site in callers.get(fid, ()):
            if _waits(world, site, fid):
                found[site] = found.get(site, NONE) | known
                work.append(site[0])
    return found


def _waits(world: World, site: Event, fid: str) -> bool:
    """Whether the caller goes on only when the function has returned: a coroutine has to be awaited."""
    call = world.symbols.functions[site[0]].facts.events[site[1]]
    callee = world.symbols.functions[fid].facts
    if not isinstance(call, f.Call) or call.decorates or callee.is_generator:
        return False
    return call.awaited or not callee.is_async


def _over(world: World, fid: str, begins: Sites, ends: Mapping[Event, Sites], reach: Mapping[str, Sites]) -> Sites:
    facts = world.symbols.functions[fid].facts
    over: set[Event] = set()
    for index, event in enumerate(facts.events):
        if not isinstance(event, f.Call | f.Suspend):
            continue
        site = (fid, index)
        if site in begins:
            over.discard(site)
        for callee in world.callees.get(site, ()):
            for target in targets(world, callee):
                over -= reach.get(target.name, NONE)
        if site in ends and _surely(facts, index):
            over |= ends[site]
    return frozenset(over)


def _surely(facts: f.Function, index: int) -> bool:
    """Whether a call is made whenever its function is called, as long as there is something to wait for."""
    event = facts.events[index]
    func = facts.nodes[event.func] if isinstance(event, f.Call) else None
    waited_for = func.base if isinstance(func, f.Attr) else -1
    blocks = {event.block}
    # What has left before, on a branch of its own, has not waited.
    blocks |= {other.block for other in facts.events[:index] if isinstance(other, f.Return)}
    return all(_plain(facts, block, waited_for) for block in blocks)


def _plain(facts: f.Function, block: int, waited_for: int) -> bool:
    while block > 0:
        one = facts.blocks[block]
        if one.kind not in PLAIN and not (one.test >= 0 and waited_for >= 0 and _asks_for(facts, one.test, waited_for)):
            return False
        block = one.parent
    return True


def _asks_for(facts: f.Function, test: int, waited_for: int) -> bool:
    """Whether a test looks at what is waited for."""
    looked_at = within(test, lambda node: children(facts, facts.nodes[node]))
    return any(node == waited_for or facts.nodes[node] == facts.nodes[waited_for] for node in looked_at)
