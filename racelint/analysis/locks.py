"""Locks: which object a region holds, and whether two regions hold the same one."""

from __future__ import annotations

from collections import defaultdict

import msgspec
from msgspec import structs

from racelint.frameworks.schema import Argument, Guard, GuardDecorator, Polled
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.texts import handed_in
from racelint.link.world import Cell, World
from racelint.model import facts as f

RELEASING = ("release", "unlock", "runlock", "release_read", "release_write", "r_release", "w_release")
READING = ("rlock", "acquire_read", "acquire_read_lock", "r_acquire")
LOCK_WORDS = ("lock", "mutex", "semaphore", "monitor", "guard", "critical")


class Lock(msgspec.Struct, frozen=True, cache_hash=True):
    """One abstract lock. ``base`` is the object whose attribute it is (None: module, class or closure level).

    ``reading``: only the reader's half of a readers-writer lock. ``keyed``: one of a map of locks, ``key``: its key
    there, when that is a literal. ``threads``: it excludes threads (an asyncio lock does not). ``tasks``: it excludes
    other tasks of its loop (an RLock does not: they run in one thread). What excludes neither is told by ``why``.
    ``unasked``: a library holds it, of its own accord. ``assumed``: known as a lock by its name only. ``mixin``: the
    slot as a base class sees it that uses the lock and leaves it to its subclasses to make one.
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
    tasks: bool = True
    why: str = ""
    key: str = ""
    unasked: bool = False
    mixin: Cell | None = None

    @property
    def futile(self) -> bool:
        """Whether it looks like a lock, and keeps nobody in this process out."""
        return not (self.threads or self.tasks)


def attempt(facts: f.Function, region: f.Region) -> int:
    """The node that is false when a lock was not to be had, for ``lock.acquire(False)``; -1 for a call that waits."""
    if region.how != "acquire" or region.method != "acquire" or region.call < 0:
        return -1
    call = facts.events[region.call]
    assert isinstance(call, f.Call)
    given = [value for name, value in call.kwargs if name == "blocking"] or list(call.args[:1])
    asked = facts.nodes[given[0]] if given else None
    return call.result if type(asked) is f.Const and asked.text == "False" else -1


def of_library(world: World, cid: str, name: str) -> Lock:
    """A lock that each instance has from its library, under the name of the attribute."""
    home, _ = world.home(cid, name)
    display = f"{world.class_of(home).display}.{name}"
    slot = ("a" if name.isidentifier() else "made", home, name)
    return Lock(display, (), slot, world.heap.make("inst", cid), reentrant=True, tasks=False, unasked=True)


def same_lock(a: Lock, b: Lock) -> bool:
    """Whether two regions exclude each other: the same lock object, and not both as readers."""
    if a.reading and b.reading:
        return False
    if a is b or (a.slot is not None and a.slot == b.slot) or (a.mixin is not None and a.mixin == b.mixin):
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
        self.taking: dict[str, list[Polled]] = defaultdict(list)
        for row in world.tables.polled:
            for method in row.taken_by:
                self.taking[method].append(row)

    def of_region(self, evaluator: Evaluator, region: f.Region) -> tuple[Lock, ...]:
        """The locks a region holds; empty when what is entered is not a lock."""
        node = evaluator.nodes[region.lock]
        if region.how != "acquire" and type(node) is f.Result:
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
            if callee.kind in ("symbol", "ext"):
                row = self.world.guards.first(callee.name)
                if row is not None:
                    if self._between_processes(row, evaluator, call):
                        return (self._futile(callee.name, row.why),)
                    named = self.named(row, evaluator, call, callee.name) if row.keyed_by is not None else None
                    return (named,) if named is not None else ()
                decorator = self.world.guard_decorators.first(callee.name)
                if decorator is not None and decorator.per_instance:
                    lock = self.of_call(decorator, evaluator, call)
                    return (lock,) if lock is not None else ()
            if callee.kind == "member" and callee.owner is not None and type(func) is f.Attr:
                row = self.world.guards.first(callee.owner.name) if callee.owner.kind == "ext" else None
                if row is not None and func.name in (*row.read_side, *row.write_side):
                    lock = self.of_node(evaluator, func.base)
                    if lock is not None:
                        return (structs.replace(lock, reading=func.name in row.read_side),)
        return None

    def of_node(self, evaluator: Evaluator, index: int, method: str = "") -> Lock | None:
        """The lock a node is, or None."""
        world = self.world
        given = self._given(evaluator, index)
        if given is not None:
            return self.of_node(*given, method)
        objs = evaluator.eval(index)
        for polled in self.taking.get(method, ()):
            for obj in objs:
                if obj.kind == "inst" and not set(polled.name).isdisjoint(world.class_of(obj.name).external):
                    return of_library(world, obj.name, polled.holds)
        wrapped = False
        futile: Lock | None = None
        guards: list[Obj] = []
        rows: list[Guard] = []
        for obj in objs:
            if obj.kind == "inst" and self._own_lock_class(obj, method):
                guards.append(obj)
            if obj.kind != "ext":
                continue
            row = world.guards.first(obj.name)
            if row is None:
                continue
            made = world.made_by(obj)
            maker = Evaluator(world, made[0]) if made is not None and (row.keyed_by or row.process_only_when) else None
            if row.process_only or (maker is not None and made and self._between_processes(row, maker, made[1])):
                futile = futile or self._futile(self.slot(evaluator, index)[2] or obj.name, row.why, obj)
                continue
            if not self._is_mutex(obj, row):
                return None
            if row.keyed_by is not None and maker is not None and made is not None:
                named = self.named(row, maker, made[1], obj.name)
                if named is not None and not named.keyed and named.base is None:
                    return named
            inner = self._wrapped(obj, row)
            wrapped = wrapped or bool(inner)
            guards.extend(inner or (obj,))
            rows.extend(found for lock in inner or (obj,) if (found := world.guards.first(lock.name)) is not None)
        slot, base, name = self.slot(evaluator, index)
        own = self._of_each_thread(evaluator, index)
        if own is not None:
            return self._futile(name, own)
        node = evaluator.nodes[index]
        keyed = isinstance(node, (f.Item, f.Elem))
        key = evaluator.nodes[node.key] if type(node) is f.Item and node.key >= 0 else None
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
                tasks=not rows or any(row.tasks or not row.reentrant for row in rows),
                key=key.text if type(key) is f.Const else "",
                mixin=self._mixin(slot),
            )
        if futile is not None:
            return futile
        if any(obj.kind not in ("opaque", "member") for obj in objs):
            return None
        last = name.rpartition(".")[2].lower()
        if slot is not None and any(word in last for word in LOCK_WORDS) and "unlock" not in last:
            known = tuple(obj for obj in objs if obj.kind == "opaque")
            return Lock(name, known, slot, base, keyed=keyed, assumed=True, mixin=self._mixin(slot))
        return None

    def _given(self, evaluator: Evaluator, index: int) -> tuple[Evaluator, int] | None:
        """Where an object that a module has made has its lock from: ``in_turn = Serialised(table_lock)``."""
        node = evaluator.nodes[index]
        objs = tuple(evaluator.eval(node.base)) if type(node) is f.Attr else ()
        made = self.world.made_by(objs[0]) if len(objs) == 1 and objs[0].kind == "inst" else None
        if made is None or made[0].facts.kind == "function" or type(node) is not f.Attr:
            return None
        given = handed_in(evaluator, objs[0], node.name)
        return (Evaluator(self.world, given[0].info), given[1]) if given is not None else None

    def _mixin(self, slot: Cell | None) -> Cell | None:
        """The slot of an attribute in the topmost base class whose methods use it."""
        if slot is None or slot[0] != "a":
            return None
        family = self.world.class_of(str(slot[1])).mro
        users = [cid for cid in family if slot[2] in self.world.class_of(cid).used_attrs]
        return ("a", users[-1], slot[2]) if users else None

    # -- locks known by a name, an instance or a reason that they are none ---------------------------------------------

    def named(self, row: Guard | GuardDecorator, evaluator: Evaluator, call: f.Call, dotted: str) -> Lock | None:
        """The lock of a name: the same for the whole process when it is written out or a constant, else one of many."""
        index = argument(call, row.keyed_by)
        if index is None:
            return None
        family = row.family or row.name[0]
        node = evaluator.nodes[index]
        if type(node) is f.Const:
            return Lock(f"{dotted}({node.text})", (), ("named", family, node.text), reentrant=row.reentrant)
        slot, base, name = self.slot(evaluator, index)
        if slot is not None and slot[0] in ("g", "k", "a"):
            return Lock(f"{dotted}({name})", (), ("named", family, slot), base, reentrant=row.reentrant)
        return Lock(f"{dotted}()", (), ("named", family), keyed=True, reentrant=row.reentrant)

    def of_call(self, row: GuardDecorator, evaluator: Evaluator, call: f.Call) -> Lock | None:
        """The lock of ``synchronized(x)``: ``x``, when that is one, or the lock that goes with the object ``x``."""
        index = argument(call, row.lock)
        if index is None:
            return None
        lock = self.of_node(evaluator, index)
        if lock is not None:
            return lock
        return next((self.of_instance(row, obj) for obj in evaluator.eval(index) if obj.kind == "inst"), None)

    def of_instance(self, row: GuardDecorator, obj: Obj) -> Lock:
        """The lock that a decorator makes for an instance, for all methods of its class and bases.

        Its slot is none that code could name: only the decorator takes it.
        """
        root = self.world.class_of(obj.name).mro[-1]
        name = f"{self.world.class_of(obj.name).display}.{row.name[0]}"
        return Lock(name, (), ("made", root, row.name[0]), obj, reentrant=row.reentrant, tasks=not row.reentrant)

    def _between_processes(self, row: Guard, evaluator: Evaluator, call: f.Call) -> bool:
        """Whether a lock excludes other processes only, by its type or by how it is made."""
        if row.process_only:
            return True
        given = {key: evaluator.nodes[value] for key, value in call.kwargs if key in row.process_only_when}
        return any(type(node) is f.Const and node.text == row.process_only_when[key] for key, node in given.items())

    def _of_each_thread(self, evaluator: Evaluator, index: int) -> str | None:
        """Why a lock that is kept in a ``threading.local`` keeps no other thread out."""
        node = evaluator.nodes[index]
        if type(node) is not f.Attr:
            return None
        rows = [self.world.confined.first(obj.name) if obj.kind == "ext" else None for obj in evaluator.eval(node.base)]
        return next((row.why for row in rows if row is not None), None) if rows and all(rows) else None

    def _futile(self, name: str, why: str, *objs: Obj) -> Lock:
        return Lock(name, objs, None, threads=False, tasks=False, why=why)

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
        return type(node) is f.Const and node.text == "1"

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
        match evaluator.attribute_got(evaluator.nodes[index]):
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


def argument(call: f.Call, argument: Argument | None) -> int | None:
    """The node of an argument of a call, or None when it is not given."""
    if argument is None:
        return None
    given = [value for key, value in call.kwargs if key == argument.keyword]
    if argument.position is not None and argument.position < len(call.args):
        given.append(call.args[argument.position])
    return given[0] if given else None


def _opaque_name(obj: Obj) -> str:
    if obj.kind == "opaque":
        parts = obj.name.split("\0")
        return ".".join([parts[0].rpartition(":")[2], *parts[1:]])
    return obj.name
