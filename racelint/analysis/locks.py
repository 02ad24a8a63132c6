"""Locks: which object a region holds, and whether two regions hold the same one."""

from __future__ import annotations

from dataclasses import dataclass

from racelint.frameworks.schema import Guard
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.world import Cell, World
from racelint.model import facts as f

RELEASING = ("release", "unlock", "runlock", "release_read", "release_write", "r_release", "w_release")
READING = ("rlock", "acquire_read", "acquire_read_lock", "r_acquire")
LOCK_WORDS = ("lock", "mutex", "semaphore", "monitor", "guard", "critical")


@dataclass(frozen=True, slots=True)
class Lock:
    """One abstract lock. ``base`` is the object whose attribute it is (None: module, class or closure level).

    ``reading``: only the reader's half of a readers-writer lock. ``keyed``: one of a map of locks. ``threads``: it
    excludes threads (an asyncio lock does not). ``assumed``: known as a lock by its name only.
    """

    name: str
    objs: tuple[Obj, ...]
    slot: Cell | None = None
    base: Obj | None = None
    reading: bool = False
    keyed: bool = False
    threads: bool = True
    assumed: bool = False
    reentrant: bool = False


def attempt(facts: f.Function, region: f.Region) -> int:
    """The node that is false when a lock was not to be had, for ``lock.acquire(False)``; -1 for a call that waits."""
    if region.how != "acquire" or region.method != "acquire" or region.call < 0:
        return -1
    call = facts.events[region.call]
    assert isinstance(call, f.Call)
    given = [value for name, value in call.kwargs if name == "blocking"] or list(call.args[:1])
    asked = facts.nodes[given[0]] if given else None
    return call.result if isinstance(asked, f.Const) and asked.text == "False" else -1


def same_lock(a: Lock, b: Lock) -> bool:
    """Whether two regions exclude each other: the same lock object, and not both as readers."""
    if a.reading and b.reading:
        return False
    if a is b or (a.slot is not None and a.slot == b.slot):
        return True
    for x in a.objs:
        for y in b.objs:
            # Made at the same place: one lock, or the corresponding lock of another instance, which guards its own.
            if x is y or (x.site is not None and x.site == y.site and x.kind == y.kind and x.name == y.name):
                return True
    return False


class Locks:
    """Resolves lock regions to locks."""

    def __init__(self, world: World) -> None:
        self.world = world

    def of_region(self, evaluator: Evaluator, region: f.Region) -> tuple[Lock, ...]:
        """The locks a region holds; empty when what is entered is not a lock."""
        node = evaluator.nodes[region.lock]
        if region.how != "acquire" and isinstance(node, f.Result):
            sided = self._sided(evaluator, node)
            if sided is not None:
                return sided
        lock = self.of_node(evaluator, region.lock, region.method)
        return (lock,) if lock is not None else ()

    def _sided(self, evaluator: Evaluator, node: f.Result) -> tuple[Lock, ...] | None:
        """``with rw.gen_rlock():`` and ``with threading.Lock():`` (a fresh lock guards nothing)."""
        call = evaluator.info.facts.events[node.event]
        assert isinstance(call, f.Call)
        func = evaluator.nodes[call.func]
        for callee in evaluator.eval(call.func):
            if callee.kind == "symbol":
                row = self.world.guards.first(callee.name)
                if row is not None:
                    if row.keyed_by_name and call.args:
                        key = evaluator.nodes[call.args[0]]
                        if isinstance(key, f.Const):
                            return (Lock(f"{callee.name}({key.text})", (), slot=("named", callee.name, key.text)),)
                    return ()
            if callee.kind == "member" and callee.owner is not None and isinstance(func, f.Attr):
                row = self.world.guards.first(callee.owner.name) if callee.owner.kind == "ext" else None
                if row is not None and func.name in (*row.read_side, *row.write_side):
                    lock = self.of_node(evaluator, func.base)
                    if lock is not None:
                        return (_with_mode(lock, func.name in row.read_side),)
        return None

    def of_node(self, evaluator: Evaluator, index: int, method: str = "") -> Lock | None:
        """The lock a node is, or None."""
        world = self.world
        objs = evaluator.eval(index)
        wrapped = False
        guards: list[Obj] = []
        rows: list[Guard] = []
        for obj in objs:
            if obj.kind == "inst" and self._own_lock_class(obj, method):
                guards.append(obj)
            if obj.kind != "ext":
                continue
            row = world.guards.first(obj.name)
            if row is None or row.process_only:
                continue
            if not self._is_mutex(obj, row):
                return None
            inner = self._wrapped(obj, row)
            wrapped = wrapped or bool(inner)
            guards.extend(inner or (obj,))
            rows.extend(found for lock in inner or (obj,) if (found := world.guards.first(lock.name)) is not None)
        slot, base, name = self.slot(evaluator, index)
        keyed = isinstance(evaluator.nodes[index], (f.Item, f.Elem))
        if guards:
            reading = bool(method) and (
                any(method in row.acquire_read for row in rows) or (not rows and method in READING)
            )
            return Lock(
                name or self._name(guards[0]),
                tuple(guards),
                None if wrapped else slot,
                base,
                reading=reading,
                keyed=keyed,
                threads=any(row.threads for row in rows) or not rows,
                reentrant=bool(rows) and all(row.reentrant for row in rows),
            )
        if any(obj.kind not in ("opaque", "member") for obj in objs):
            return None
        last = name.rpartition(".")[2].lower()
        if slot is not None and any(word in last for word in LOCK_WORDS) and "unlock" not in last:
            return Lock(name, tuple(obj for obj in objs if obj.kind == "opaque"), slot, base, keyed=keyed, assumed=True)
        return None

    def _own_lock_class(self, obj: Obj, method: str) -> bool:
        """Whether a project class is a lock: it has a pair of methods that take and give back, and is entered so."""
        world = self.world
        if method:
            return any(world.method(obj.name, name) for name in RELEASING) and bool(world.method(obj.name, method))
        enters = world.method(obj.name, "__enter__") is not None
        return enters and bool(world.method(obj.name, "acquire")) and bool(world.method(obj.name, "release"))

    def _is_mutex(self, obj: Obj, row: Guard) -> bool:
        """A semaphore is a mutex only when it admits one holder."""
        made = self.world.made_by(obj)
        if row.mutex_when is None or made is None:
            return True
        info, call = made
        given = [value for key, value in call.kwargs if key == row.mutex_when.keyword]
        position = row.mutex_when.position
        if not given and position is not None and position < len(call.args):
            given = [call.args[position]]
        if not given:
            return True
        node = info.facts.nodes[given[0]]
        return isinstance(node, f.Const) and node.text == "1"

    def _wrapped(self, obj: Obj, row: Guard) -> tuple[Obj, ...]:
        """``Condition(lock)`` is ``lock``."""
        made = self.world.made_by(obj)
        if row.wraps is None or made is None:
            return ()
        info, call = made
        evaluator = Evaluator(self.world, info)
        inner = evaluator.argument(call, row.wraps.position, row.wraps.keyword)
        return tuple(
            self.world.heap.owned(found, obj.owner) if obj.owner is not None and found.owner is None else found
            for found in inner
            if found.kind == "ext" and self.world.guards.first(found.name) is not None
        )

    def slot(self, evaluator: Evaluator, index: int) -> tuple[Cell | None, Obj | None, str]:
        """The storage slot a lock expression names, the object it belongs to, and its display name."""
        world = self.world
        node = evaluator.nodes[index]
        match node:
            case f.Attr(base, name):
                for obj in evaluator.eval(base):
                    if obj.kind == "inst":
                        home, class_level = world.home(obj.name, name)
                        display = f"{world.class_of(home).display}.{name}"
                        if class_level:
                            return ("k", home, name), None, display
                        return ("a", home, name), obj, display
                    if obj.kind == "class":
                        slot = world.class_slot(obj.name, name)
                        return slot, None, f"{world.class_of(str(slot[1])).display}.{name}"
                    if obj.kind == "module":
                        return ("g", obj.name, name), None, f"{obj.name}.{name}"
                    if obj.kind in ("opaque", "ext", "member"):
                        return ("o", world.heap.plain(obj), name), None, f"{_opaque_name(obj)}.{name}"
                return None, None, name
            case f.Global(name):
                _, cell = world.resolve(evaluator.info.module, name)
                if cell is not None:
                    return cell, None, f"{cell[1]}.{cell[2]}"
                return ("g", evaluator.info.module, name), None, f"{evaluator.info.module}.{name}"
            case f.Imported(module, name):
                return ("g", module, name or ""), None, f"{module}.{name}"
            case f.Captured(owner, name):
                return ("x", f"{evaluator.info.module}:{owner}", name), None, f"{evaluator.info.module}.{owner}.{name}"
            case f.Param(name):
                return None, None, name
            case f.Item(base, _) | f.Elem(base):
                inner, holder, display = self.slot(evaluator, base)
                return inner, holder, f"{display}[]"
            case f.ClassVar(owner, name):
                return ("k", f"{evaluator.info.module}:{owner}", name), None, f"{evaluator.info.module}.{owner}.{name}"
            case _:
                return None, None, ""

    def _name(self, obj: Obj) -> str:
        if obj.site is not None:
            info = self.world.symbols.functions.get(obj.site[0])
            if info is not None:
                return f"{obj.name} made in {info.display}"
        return obj.name


def _with_mode(lock: Lock, reading: bool) -> Lock:
    return Lock(
        lock.name, lock.objs, lock.slot, lock.base, reading, lock.keyed, lock.threads, lock.assumed, lock.reentrant
    )


def _opaque_name(obj: Obj) -> str:
    if obj.kind == "opaque":
        parts = obj.name.split("\0")
        return ".".join([parts[0].rpartition(":")[2], *parts[1:]])
    return obj.name
