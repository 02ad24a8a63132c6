"""Locks that are acquired and, on some way out of the function, not released.

``with`` cannot forget it. After ``acquire()`` a ``return`` in between can, and an exception from any call can, unless a
``finally`` (or a handler that catches everything) releases. Handing a held lock over to somebody who releases it is a
way to use one: then only what the function itself would release again is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from racelint.analysis.flow import Flow, Flows
from racelint.analysis.locks import RELEASING, Locks
from racelint.analysis.program import Program
from racelint.analysis.watch import Take
from racelint.frameworks.schema import Matcher
from racelint.link.evaluate import Evaluator
from racelint.link.world import Cell
from racelint.model import facts as f

EVERYTHING = frozenset(("Exception", "BaseException"))
# Effects of a container's methods that raise nothing in practice: who pops has looked whether there is something.
CALM_EFFECTS = frozenset(
    ("read", "item", "insert", "delete", "discard", "clear", "claim", "update", "snapshot", "view", "order")
)


@dataclass(frozen=True, slots=True)
class Unreleased:
    """``take`` is held when the function is left at event ``left_at`` (-1: it is never released).

    ``release``: the line of the release that is skipped.
    """

    take: Take
    left_at: int
    release: int


class Releases:
    """Knows where locks are released, and where that can be skipped."""

    def __init__(self, program: Program) -> None:
        self.world = program.world
        self.takes = program.watched.takes
        self.locks = Locks(self.world)
        self.flows = Flows(self.world.symbols.functions)
        self.values = Matcher.of([row for row in self.world.tables.value if row.name])
        reports = self.world.tables.report
        self.methods = frozenset(
            name for rows in (self.world.tables.value, reports) for row in rows for name in row.methods
        )
        self.reports = Matcher.of([row for row in reports if row.name])

    def find(self) -> Iterator[Unreleased]:
        """Each acquisition once."""
        seen: set[tuple[str, int]] = set()
        for take in sorted(self.takes, key=lambda take: (take.at.state.doubt, take.at.state.depth)):
            fid = take.at.state.fid
            facts = self.world.symbols.functions[fid].facts
            region = facts.regions[take.region]
            if region.how != "acquire" or (fid, take.region) in seen or not region.method.endswith("acquire"):
                continue
            seen.add((fid, take.region))
            if any(obj.kind == "inst" for obj in take.lock.objs):
                continue
            found = self._left(take, self.flows[fid], region)
            if found is not None:
                yield found

    def _left(self, take: Take, flow: Flow, region: f.Region) -> Unreleased | None:
        releases = [index for index in self._releases(flow) if self._of(flow, index, region)]
        if not releases:
            known = take.lock.slot is not None and bool(take.lock.objs)
            if not known or take.lock.slot in self._elsewhere or take.lock.slot is None or take.lock.slot[0] == "o":
                return None
            return Unreleased(take, -1, 0)
        events = flow.facts.events
        call = events[region.call]
        assert isinstance(call, f.Call)
        handed = take.lock.slot in self._handed_over
        raising = -1
        for index in range(region.call + 1, max(releases)):
            event = events[index]
            if take.region not in flow.facts.held[event.held] or self._failed(flow, event.block, region):
                continue
            if self._protected(flow, event.block, releases, raised=type(event) is not f.Return):
                continue
            last = events[max(releases)].line
            if type(event) is f.Return:
                if not handed:
                    return Unreleased(take, index, last)
            elif isinstance(event, (f.Suspend, f.Yield)) and event.value == call.result:
                continue  # waiting for the lock itself
            elif raising < 0 and self._may_raise(take.at.state.fid, flow, index, event):
                raising = index
        return Unreleased(take, raising, events[max(releases)].line) if raising >= 0 else None

    # -- releases -----------------------------------------------------------------------------------------------------

    def _releases(self, flow: Flow) -> Iterator[int]:
        nodes = flow.facts.nodes
        for index, event in enumerate(flow.facts.events):
            if type(event) is f.Call:
                func = nodes[event.func]
                if type(func) is f.Attr and func.name in RELEASING:
                    yield index

    def _of(self, flow: Flow, index: int, region: f.Region) -> bool:
        event = flow.facts.events[index]
        assert isinstance(event, f.Call)
        func = flow.facts.nodes[event.func]
        assert isinstance(func, f.Attr)
        return index > region.call and flow.same_path(func.base, region.lock)

    @cached_property
    def _elsewhere(self) -> frozenset[Cell]:
        """Slots of locks that are released anywhere, by a call or by being handed over as ``lock.release``."""
        return frozenset(slot for slot, _ in self._released)

    @cached_property
    def _handed_over(self) -> frozenset[Cell]:
        """Slots of locks that some function releases which has not acquired them."""
        return frozenset(slot for slot, acquired in self._released if not acquired)

    @cached_property
    def _released(self) -> list[tuple[Cell, bool]]:
        found: list[tuple[Cell, bool]] = []
        for fid, info in self.world.symbols.functions.items():
            facts = info.facts
            named = [node for node in facts.nodes if type(node) is f.Attr and node.name in RELEASING]
            if not named:
                continue
            evaluator = Evaluator(self.world, info)
            flow = self.flows[fid]
            for node in named:
                slot, _, _ = self.locks.slot(evaluator, node.base)
                if slot is not None:
                    acquired = any(
                        region.how == "acquire" and flow.same_path(region.lock, node.base) for region in facts.regions
                    )
                    found.append((slot, acquired))
        return found

    # -- ways out -----------------------------------------------------------------------------------------------------

    def _failed(self, flow: Flow, block: int, region: f.Region) -> bool:
        """Whether a block runs only when the lock was not got."""
        call = flow.facts.events[region.call]
        assert isinstance(call, f.Call)
        for ancestor in flow.ancestors(block):
            entry = flow.facts.blocks[ancestor]
            if entry.test < 0 or region.call not in flow.deps(entry.test):
                continue
            inverted = type(flow.facts.nodes[entry.test]) is f.Derived
            if entry.test == call.result or inverted:
                if (entry.kind == "else") != inverted:
                    return True
        return False

    def _protected(self, flow: Flow, block: int, releases: list[int], *, raised: bool) -> bool:
        """Whether a release is run on the way out: by a ``finally``, or where an exception is caught."""
        blocks = flow.facts.blocks
        inside = set(flow.ancestors(block))
        for ancestor in inside:
            entry = blocks[ancestor]
            if entry.kind == "finally":
                return True  # it stands beside the release, or after it
            if entry.kind == "except" and raised:
                return True  # a handler that goes wrong itself is another matter
        for index in sorted(inside):
            if blocks[index].kind != "try":
                continue
            for other in _clauses(blocks, index):
                clause = blocks[other]
                if clause.kind == "finally" and any(self._within(flow, at, other) for at in releases):
                    return True
                if clause.kind == "except" and raised:
                    if EVERYTHING.intersection(clause.catches) or any(self._within(flow, at, other) for at in releases):
                        return True
        return self._in_clause(flow, block, releases)

    def _in_clause(self, flow: Flow, block: int, releases: list[int]) -> bool:
        """Whether a handler or ``else`` belongs to a ``try`` whose ``finally`` releases."""
        blocks = flow.facts.blocks
        for ancestor in flow.ancestors(block):
            before = [
                i for i in range(ancestor) if blocks[i].kind == "try" and blocks[i].parent == blocks[ancestor].parent
            ]
            if before and ancestor in _clauses(blocks, before[-1]):
                for other in _clauses(blocks, before[-1]):
                    if blocks[other].kind == "finally" and any(self._within(flow, at, other) for at in releases):
                        return True
        return False

    def _within(self, flow: Flow, event: int, block: int) -> bool:
        return block in flow.ancestors(flow.facts.events[event].block)

    def _may_raise(self, fid: str, flow: Flow, index: int, event: f.Event) -> bool:
        if type(event) is f.Suspend:
            return True  # it may be cancelled
        if type(event) is f.Yield:
            value = flow.facts.nodes[event.value] if event.value >= 0 else None
            call = flow.facts.events[value.event] if type(value) is f.Result else None
            return not (type(value) is f.Result and type(call) is f.Call and self._calm(fid, value.event, call))
        return type(event) is f.Call and not self._calm(fid, index, event)

    def _calm(self, fid: str, index: int, call: f.Call) -> bool:
        """Whether a call is known to raise nothing in practice: a plain value, a log line, one step of a container."""
        node = self.world.symbols.functions[fid].facts.nodes[call.func]
        name = node.name if type(node) is f.Attr else ""
        if name in self.methods:
            return True
        callees = self.world.callees.get((fid, index), ())
        return bool(callees) and all(
            self._calm_callee(callee.kind, callee.name, callee.owner, name) for callee in callees
        )

    def _calm_callee(self, kind: str, dotted: str, owner: object, method: str) -> bool:
        if kind == "symbol":
            known = self.values.first(dotted) or self.reports.first(dotted) or self.world.container_row(dotted)
            return known is not None or self.world.guards.first(dotted) is not None
        if kind != "member" or owner is None:
            return False
        type_name = getattr(owner, "name", "")
        row = self.world.container_row(type_name)
        if row is not None and (row.safe or method in row.safe_methods or row.methods.get(method) in CALM_EFFECTS):
            return True
        return self.world.guards.first(type_name) is not None


def _clauses(blocks: tuple[f.Block, ...], start: int) -> Iterator[int]:
    """The blocks of the ``except``, ``else`` and ``finally`` that belong to the ``try`` at ``start``."""
    parent = blocks[start].parent
    for index in range(start + 1, len(blocks)):
        if blocks[index].parent != parent:
            continue
        if blocks[index].kind not in ("except", "body", "finally"):
            return
        yield index
        if blocks[index].kind == "finally":
            return
