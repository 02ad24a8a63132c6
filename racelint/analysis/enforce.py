"""Contracts held against the code: every access to a guarded place, every call of a function that requires a lock.

The walk begins in every function that nobody calls, not only where something runs concurrently: a contract is a promise
of the programmer, whoever runs beside whom today. What callers hold is held in the callee, what a function requires is
held in it. Objects under construction are their maker's own; so are the variables of a module while it is imported.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from racelint.analysis.bodies import Held
from racelint.analysis.contracts import Contract, Contracts
from racelint.analysis.effects import MUTATING, Touch
from racelint.analysis.guards import GuardUse
from racelint.analysis.locks import Lock, same_lock
from racelint.analysis.races import Race
from racelint.analysis.records import Records
from racelint.analysis.walk import Reached, State, Walker
from racelint.contexts.entry_points import EntryPoint
from racelint.link.symbols import FunctionInfo
from racelint.model import facts as f


@dataclass(frozen=True, slots=True)
class Breach:
    """An access, or a call, without the lock of a contract.

    ``callee`` is the function called, or "" for an access. ``held`` of ``total`` accesses (or calls) keep the contract.
    """

    contract: Contract
    reached: Reached
    callee: str = ""
    held: int = 0
    total: int = 0


def settled(contracts: Contracts, race: Race) -> bool:
    """Whether a contract speaks about a race: its place is never shared, or it is an access without the lock.

    What holds the lock and still collides, as a check and an act in two critical sections, stays a race.
    """
    if race.name in contracts.confined:
        return True
    contract = contracts.guarded.get(race.name)
    return contract is not None and not all(_holds(contract, access.touch, access.locks) for access in race.reached)


def races(breaches: Iterable[Breach]) -> Iterator[Race]:
    """Accesses without the lock of a contract as the races they may be part of: what a fix has to guard."""
    for breach in breaches:
        if breach.contract.kind == "guarded-by" and breach.contract.named is not None:
            guard = GuardUse(breach.contract.named.lock, breach.held, breach.total)
            access = breach.reached
            yield Race("guard", breach.contract.subject, access, None, access, access.state.entry.why, guard)


def _holds(contract: Contract, touch: Touch, locks: Iterable[Lock]) -> bool:
    """Whether one of ``locks`` is that of a contract; the reader's half of one does for reading."""
    assert contract.named is not None
    writes = touch.effect in MUTATING
    return any(same_lock(contract.named.lock, lock) and not (writes and lock.reading) for lock in locks)


class Enforcer(Records):
    """Looks at the accesses to places with contracts, and at the calls of functions with contracts.

    ``starts`` are the entry points at which somebody else, without any lock, calls a function.
    """

    def __init__(
        self, contracts: Contracts, functions: Mapping[str, FunctionInfo], starts: Iterable[EntryPoint]
    ) -> None:
        super().__init__(contracts.guarded)
        self.contracts = contracts
        self._functions = functions
        self.starts = frozenset(map(id, starts))
        self.calls: dict[tuple[str, int, str, Contract], list[tuple[Reached, bool]]] = {}

    @property
    def accesses(self) -> tuple[Reached, ...]:
        """All accesses to guarded places, once they are made."""
        return tuple(access for access in self.reached if not self._imports(access))

    def breaches(self) -> Iterator[Breach]:
        """Every breach, when all has been walked."""
        judged: dict[Contract, list[tuple[Reached, bool]]] = {}
        for access in self.accesses:
            contract = self.contracts.guarded[access.touch.name]
            judged.setdefault(contract, []).append((access, self._keeps(contract, access)))
        for contract, every in judged.items():
            yield from _breaches(contract, every, "")
        by_callee: dict[tuple[str, Contract], list[tuple[Reached, bool]]] = {}
        for (_, _, callee, contract), calls in self.calls.items():
            by_callee.setdefault((callee, contract), []).extend(calls)
        for (callee, contract), calls in by_callee.items():
            yield from _breaches(contract, calls, callee)

    # -- accesses -----------------------------------------------------------------------------------------------------

    def _imports(self, access: Reached) -> bool:
        """Whether a variable is touched while its module is being imported, before anything has been started."""
        module, _, body = access.state.entry.target.name.partition(":")
        own = access.touch.name.rpartition(".")[0] == module
        return own and body == "<module>" and not access.started

    def _keeps(self, contract: Contract, access: Reached) -> bool:
        facts = self._functions[access.touch.fid].facts
        event = facts.events[access.touch.event]
        node = event.target if isinstance(event, f.Access) else event.func if isinstance(event, f.Call) else -1
        own = [lock for lock, region in access.held if not self._of_another(contract, facts, node, region)]
        return _holds(contract, access.touch, own)

    def _of_another(self, contract: Contract, facts: f.Function, node: int, region: int) -> bool:
        """Whether a lock belongs to another object than what is touched: ``with self._lock: other.balance += 1``."""
        if contract.named is None or not contract.named.own or region < 0 or node < 0:
            return False
        return _differ(_owner(facts, node), _owner(facts, facts.regions[region].lock))

    # -- calls --------------------------------------------------------------------------------------------------------

    def entered(self, walker: Walker, state: State, held: Held) -> None:
        """Hold a call against what the function called requires."""
        for contract in self.contracts.required.get(state.fid, ()):
            self._demand(contract, walker, state, held)

    def _demand(self, contract: Contract, walker: Walker, state: State, held: Held) -> None:
        assert contract.named is not None
        caller = state.parent
        info = self._functions[state.fid]
        if caller is None and id(state.entry) not in self.starts:
            return
        if contract.named.own and info.facts.params:
            receiver = dict(state.params).get(info.facts.params[0].name, ())
            if receiver and all(obj.fresh for obj in receiver):
                return
        if caller is None:
            touch = Touch(("f", state.fid), None, info.display, "read", False, state.fid, -1, info.facts.line)
            reached, kept = Reached(touch, state, walker.group, (), state.started), False
        else:
            facts = self._functions[caller.fid].facts
            event = facts.events[state.event]
            node = event.func if isinstance(event, f.Call) else event.target if isinstance(event, f.Access) else -1
            touch = Touch(("f", state.fid), None, info.display, "read", False, caller.fid, state.event, event.line)
            own = tuple(pair for pair in held if not self._of_another(contract, facts, node, pair[1]))
            reached = Reached(touch, caller, walker.group, held, state.started)
            kept = any(same_lock(contract.named.lock, lock) for lock, _ in own)
        site = (touch.fid, touch.event, state.fid, contract)
        self.calls.setdefault(site, []).append((reached, kept))


def _breaches(contract: Contract, judged: Collection[tuple[Reached, bool]], callee: str) -> Iterator[Breach]:
    """One breach per place in the code, with the number of places that keep the contract."""
    wrong: dict[tuple[str, int], Reached] = {}
    for access, kept in judged:
        site = (access.touch.fid, access.touch.line)
        if not kept and (site not in wrong or _rank(access) < _rank(wrong[site])):
            wrong[site] = access
    total = {(access.touch.fid, access.touch.line) for access, _ in judged}
    for access in wrong.values():
        yield Breach(contract, access, callee, len(total) - len(wrong), len(total))


def _rank(access: Reached) -> tuple[int, int, bool, bool, int]:
    """Sure ways first, then short ones; of what one line does, a change first, and what is done to the content."""
    state, touch = access.state, access.touch
    return (state.doubt, state.depth, touch.effect not in MUTATING, not touch.content, touch.event)


def _owner(facts: f.Function, node: int) -> str:
    """The parameter whose attribute a node is (or is found in); "" when it is no plain attribute of one."""
    inner = facts.nodes[node]
    while isinstance(inner, f.Attr):
        inner = facts.nodes[inner.base]
    return inner.name if isinstance(inner, f.Param) else ""


def _differ(one: str, other: str) -> bool:
    return bool(one) and bool(other) and one != other
