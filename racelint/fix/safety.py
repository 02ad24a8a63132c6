"""What may happen while a lock is held: whether the held statements only do what ends at once."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import networkx as nx

from racelint.analysis.effects import Effects
from racelint.analysis.locks import Locks, same_lock
from racelint.analysis.program import Program
from racelint.analysis.values import Values
from racelint.fix.edit import Held
from racelint.fix.plan import Plan
from racelint.fix.spelling import spell
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.symbols import FunctionInfo
from racelint.model import facts as f

# Built-in functions that wait for somebody, or run code that nothing is known about.
WAITING = frozenset(("open", "input", "exec", "eval", "compile", "__import__", "breakpoint"))


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something a held line does beside the accesses themselves."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.what}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``refused``: why no edit keeps the meaning. ``doubts``: what a reader must look at before taking it."""

    refused: str = ""
    doubts: tuple[Doubt, ...] = ()
    reentrant: bool = False


class Safety:
    """Judges held regions of one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.world = program.world
        self.values = Values(program.world)
        self.locks = Locks(program.world)
        self.container_methods = frozenset(Effects(program.world).generic)
        self._calls: nx.DiGraph[str] = nx.DiGraph(program.graph)
        self._quiet: dict[str, str] = {}
        self._by_path: dict[str, list[FunctionInfo]] = {}
        for info in program.world.symbols.functions.values():
            self._by_path.setdefault(info.path, []).append(info)

    def judge(self, plan: Plan, held: Iterable[Held]) -> Verdict:
        """What a plan's held statements do beside the accesses themselves."""
        doubts: dict[Doubt, None] = {}
        if plan.awaited and plan.made is not None and plan.made.scope in ("g", "k"):
            first = plan.holds[0]
            doubts[Doubt(first.path, first.line, "holds a lock that outlives its event loop, and serves no other")] = (
                None
            )
        entered: set[str] = set()
        takers = {hold.fid for hold in plan.holds} | self._takers(plan)
        for region in held:
            if not region.lock:
                continue
            for info in self._by_path.get(region.path, ()):
                if info.facts.kind != "function":
                    continue
                inside = [i for i, e in enumerate(info.facts.events) if region.line <= e.line <= region.end_line]
                for index in inside:
                    event = info.facts.events[index]
                    if isinstance(event, (f.Suspend, f.Yield)):
                        if isinstance(event, f.Yield) or event.how == "yield" or not plan.awaited:
                            what = "an await" if isinstance(event, f.Suspend) else "a yield"
                            return Verdict(f"{region.path}:{event.line} would hold a lock over {what}")
                        doubts[Doubt(region.path, event.line, "waits while the lock is held")] = None
                    if isinstance(event, f.Call) and self._is_held(region, info, event):
                        for callee in self.world.callees.get((info.id, index), ()):
                            if callee.kind in ("func", "bound"):
                                entered.add(callee.name)
                        trouble = self._trouble(info, index, event)
                        if trouble and not plan.awaited and not self._on_the_lock(plan, info, event):
                            doubts[Doubt(region.path, event.line, f"{trouble} while the lock is held")] = None
                for lock in info.facts.regions:
                    if not region.line <= lock.line <= region.end_line:
                        continue
                    if not self._is(plan, info, lock):
                        doubts[Doubt(region.path, lock.line, "takes another lock while this one is held")] = None
                    elif lock.how != "with" or spell(info.facts, lock.lock) != region.lock:
                        return Verdict(f"{region.path}:{lock.line} takes {region.lock} in a way that cannot be undone")
        again = {fid for name in entered for fid in (name, *self._below(name))} & takers
        if again and plan.existing is not None and not plan.existing.reentrant:
            name = self.world.symbols.functions[min(again)].display
            return Verdict(f"{name} would take {plan.existing.name} a second time")
        if again and plan.awaited:
            name = self.world.symbols.functions[min(again)].display
            return Verdict(f"{name} would wait for {plan.lock}, which its own task holds")
        return Verdict("", tuple(doubts), bool(again))

    def _is_held(self, region: Held, info: FunctionInfo, call: f.Call) -> bool:
        """Whether a call on the lines of a held region is made under the lock."""
        if region.calls is None:
            return True
        func = info.facts.nodes[call.func]
        return not isinstance(func, (f.Attr, f.Global, f.Captured, f.Param, f.ClassVar)) or func.name in region.calls

    def _below(self, fid: str) -> Iterable[str]:
        return nx.descendants(self._calls, fid) if fid in self._calls else ()

    def _takers(self, plan: Plan) -> set[str]:
        """The functions that take the lock of a plan today."""
        if plan.existing is None:
            return set()
        return {
            info.id
            for info in self.world.symbols.functions.values()
            if any(self._is(plan, info, region) for region in info.facts.regions)
        }

    def _is(self, plan: Plan, info: FunctionInfo, region: f.Region) -> bool:
        if plan.existing is None:
            return False
        found = self.locks.of_region(Evaluator(self.world, info), region)
        return any(same_lock(plan.existing, lock) for lock in found)

    def _on_the_lock(self, plan: Plan, info: FunctionInfo, call: f.Call) -> bool:
        """Whether a call is a method of the lock itself: a condition lets go of its lock while it waits."""
        func = info.facts.nodes[call.func]
        if plan.existing is None or not isinstance(func, f.Attr):
            return False
        lock = self.locks.of_node(Evaluator(self.world, info), func.base)
        return lock is not None and same_lock(plan.existing, lock)

    # -- calls --------------------------------------------------------------------------------------------------------

    def _trouble(self, info: FunctionInfo, index: int, call: f.Call) -> str:
        """What is wrong with a call under a lock, or nothing."""
        evaluator = Evaluator(self.world, info)
        callees = tuple(evaluator.eval(call.func)) or self.world.callees.get((info.id, index), ())
        func = evaluator.nodes[call.func]
        name = func.name if isinstance(func, (f.Attr, f.Global)) else "something"
        known = [callee for callee in callees if callee.kind not in ("opaque",)]
        if not known:
            small = isinstance(func, f.Attr) and (
                func.name in self.container_methods
                or func.name in self.values.methods
                or func.name in self.values.reports
            )
            return "" if small or self._builtin(func) else f"calls {name}(), of which nothing is known,"
        for callee in known:
            trouble = self._callee_trouble(callee, func, name)
            if trouble:
                return trouble
        return ""

    def _builtin(self, func: f.Node) -> bool:
        return isinstance(func, f.Global) and hasattr(builtins, func.name) and func.name not in WAITING

    def _callee_trouble(self, callee: Obj, func: f.Node, name: str) -> str:
        if callee.kind in ("func", "bound"):
            return self._function_trouble(callee.name)
        if callee.kind == "class":
            init = self.world.method(callee.name, "__init__")
            return self._function_trouble(init) if init is not None else ""
        if callee.kind == "member" and callee.owner is not None:
            owner, method = callee.owner, callee.name.rpartition(".")[2].rstrip("()")
            row = self.world.container_row(owner.name) if owner.kind == "ext" else None
            if row is not None or method in self.values.reports or method in self.values.methods:
                return ""
        if callee.kind in ("symbol", "ext"):
            short = callee.name.rpartition(".")[2]
            if callee.name in self.values.reports or self.values.calls.first(callee.name) is not None:
                return ""
            if self.world.consumers.first(callee.name) is not None or self.world.container_row(callee.name) is not None:
                return ""
            if self.world.guards.first(callee.name) is not None or self._builtin(func) or short in self.values.reports:
                return ""
        return f"calls {name}(), which may take its time,"

    def _function_trouble(self, fid: str) -> str:
        """What is wrong with calling a function of the project under a lock."""
        if fid not in self._quiet:
            self._quiet[fid] = ""  # a function that calls itself does what its other events do
            self._quiet[fid] = next(self._troubles(fid), "")
        return self._quiet[fid]

    def _troubles(self, fid: str) -> Iterator[str]:
        info = self.world.symbols.functions[fid]
        if info.facts.regions:
            yield f"calls {info.facts.name}(), which takes a lock or opens something,"
        for index, event in enumerate(info.facts.events):
            if isinstance(event, f.Suspend):
                yield f"calls {info.facts.name}(), which awaits,"
            if isinstance(event, f.Call):
                trouble = self._trouble(info, index, event)
                if trouble:
                    yield f"calls {info.facts.name}(), which {trouble.rstrip(',')},"
