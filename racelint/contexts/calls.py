"""Calls that start something: ``Thread(target=f)``, ``pool.submit(f)``, ``loop.create_task(f())``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from racelint.contexts.callables import Callables, called_names, generic, is_coroutine
from racelint.contexts.entry_points import EntryPoint, EntryPoints
from racelint.frameworks.schema import ContextKind, Entry, Matcher, Serve, table_of
from racelint.link.awaited import awaits, over_beside
from racelint.link.call_sites import Event, in_loop
from racelint.link.calls import targets
from racelint.link.classes import owner_of
from racelint.link.evaluate import Evaluator
from racelint.link.kept import Kept
from racelint.link.objects import Obj
from racelint.link.pools import Pools
from racelint.link.views import viewed
from racelint.link.world import World
from racelint.model import facts as f

# What a call runs once has been run when that has been awaited.
ONCE = ("per-start", "per-call")
# What a row says of a keyword argument of which it only matters that it is there.
ANY = "*"


class Calls:
    """Adds what calls start to the entry points, and says when that has ended.

    ``methods_given``: calls that hand methods of library objects to another thread, with the row and the name by which
    it matched.
    """

    def __init__(self, world: World, callables: Callables, entries: EntryPoints) -> None:
        self.world = world
        self.callables = callables
        self.sites = callables.sites
        self.entries = entries
        self.kept = Kept(world)
        self.methods_given: dict[Event, list[tuple[Entry, str, Obj]]] = {}
        self.pools = Pools(world, callables.sites, callables.evaluator)
        rows = [row for row in world.tables.entry if row.form == "call"]
        self.rows = Matcher.of(rows)
        self.loose = {name.rpartition(".")[2]: row for row in reversed(rows) if row.loose for name in row.name}

    def starting(self, fid: str, index: int, call: f.Call, callees: Iterable[Obj]) -> None:
        """Note what a call of one of ``callees`` starts."""
        world = self.world
        matched: list[tuple[Entry, str, Obj | None, f.Call]] = []
        contexts: list[frozenset[str]] = []
        for callee in callees:
            found = [
                (row, name, receiver, made)
                for called, made in self._as_method(fid, call, callee)
                for name, receiver in called_names(world, called)
                for row in self.rows.all(name)
            ]
            matched.extend(found)
            contexts.extend([frozenset(row.context for row, *_ in found)] if found else [])
        # Of what may be one of several types (``Future | concurrent.futures.Future``) the context is not known.
        confidence = "high" if not contexts or frozenset.intersection(*contexts) else "low"
        for row, name, receiver, made in matched:
            self._call_entry(fid, index, made, row, name, receiver, confidence)
        for callee in callees:
            if callee.kind == "symbol":
                self._reconcilers(fid, index, call, callee.name)
        node = world.symbols.functions[fid].facts.nodes[call.func]
        if not matched and type(node) is f.Attr and node.name in self.loose:
            unknown = all(callee.kind in ("opaque", "member", "ext") for callee in callees)
            if unknown and not any(callee.kind in ("func", "bound", "class") for callee in callees):
                row = self.loose[node.name]
                sure = "low" if row.vague else "medium"
                self._call_entry(fid, index, call, row, f"*.{node.name}", None, confidence=sure)

    def _as_method(self, fid: str, call: f.Call, callee: Obj) -> Iterator[tuple[Obj, f.Call]]:
        """A call with its callee; ``Thread.__init__(self, target=f)`` is taken for ``super().__init__(target=f)``."""
        found: list[Obj] = []
        if callee.kind == "symbol" and callee.name.endswith(".__init__") and call.args:
            receivers = [obj for obj in self.callables.evaluator(fid).eval(call.args[0]) if obj.kind == "inst"]
            found = [self.world.heap.make("member", callee.name, owner=obj) for obj in receivers]
        if not found:
            yield callee, call
        for member in found:
            yield member, replace(call, args=call.args[1:])

    def _call_entry(
        self,
        fid: str,
        index: int,
        call: f.Call,
        row: Entry,
        name: str,
        receiver: Obj | None,
        confidence: str = "high",
    ) -> None:
        world, evaluator = self.world, self.callables.evaluator(fid)
        if row.function is None or not asked(row, evaluator, call):
            return
        nodes: list[int] = []
        if row.function.position == -1:
            nodes.extend(call.args)
            nodes.extend(value for key, value in call.kwargs if key == "*")
        elif row.function.position is not None and row.function.position < len(call.args):
            nodes.append(call.args[row.function.position])
        if row.function.keyword is not None:
            nodes.extend(value for key, value in call.kwargs if row.function.keyword in (key, "*"))
        if row.context in ("thread", "pool") and confidence != "low":
            self._methods_given(fid, index, nodes, row, name)
        one = row.function.position != -1 and not row.iterable
        spread = row.iterable or row.function.position == -1
        started = [
            (node, target)
            for node in nodes
            for target in generic(
                self.callables.methods(evaluator, node, row)
                if row.methods
                else self.callables.of(evaluator, node, spread=spread)
            )
        ]
        times = Counter(target for _, target in started)
        for node, target in started:
            handed = self.callables.handed_by(fid, node, target)
            coroutine = is_coroutine(world, evaluator.nodes[node], target)
            listed = coroutine and not call.star and times[target] == 1 and self._made_by(fid, node, target)
            once = row.before_all or listed or (one and (row.self_overlap == "per-start" or coroutine))
            each = once and _of_each(world.symbols.functions[fid].facts, call, node)
            registered = row.self_overlap not in ONCE and _is_function(evaluator, node, target)
            self._spawned(
                *(fid, index, call, row, name, receiver, target, confidence, once, handed),
                each=each,
                registered=registered,
            )
        for node in nodes:
            for target in self._on_its_own_loop(evaluator, call, node):
                alone = one and row.self_overlap == "per-start"
                self._spawned(fid, index, call, row, name, receiver, target, confidence, alone, kind=row.context)
            for (where, at), target in self.callables.coroutines(fid, node):
                made = world.symbols.functions[where].facts.events[at]
                assert isinstance(made, f.Call)
                self._spawned(where, at, made, row, name, receiver, target, confidence, one)

    def _methods_given(self, fid: str, index: int, nodes: Iterable[int], row: Entry, name: str) -> None:
        """Note methods of library objects that a call hands to another thread: ``Timer(1, event.set)``."""
        evaluator = self.callables.evaluator(fid)
        for node in nodes:
            for obj in evaluator.eval(node):
                if obj.kind in ("member", "partial"):
                    self.methods_given.setdefault((fid, index), []).append((row, name, obj))

    def _made_by(self, fid: str, node: int, target: Obj) -> bool:
        """Whether a value is what one call of a function gives: ``gather(read(), write())``."""
        value = self.world.symbols.functions[fid].facts.nodes[node]
        callees = self.world.callees.get((fid, value.event), ()) if type(value) is f.Result else ()
        return any(target.name == made.name for callee in callees for made in targets(self.world, callee))

    def _spawned(
        self,
        fid: str,
        index: int,
        call: f.Call,
        row: Entry,
        name: str,
        receiver: Obj | None,
        target: Obj,
        confidence: str,
        once: bool,
        handed: frozenset[Event] = frozenset(),
        *,
        each: bool = False,
        registered: bool = False,
        kind: ContextKind | None = None,
    ) -> None:
        """Note what a call starts. ``handed``: the calls that hand it to the function which makes this one.

        ``each``: it is a method of another object each time. ``registered``: the function is only noted by the call, to
        be run again and again from then on. ``kind``: where it runs, when the row does not say it.
        """
        world = self.world
        info = world.symbols.functions[fid]
        made = world.heap.make("ext", name, (fid, index))
        begins, exact = {(fid, index)}, True
        if row.begins:
            starts = {event for method in row.begins for event in self.sites.on(made, method)}
            if receiver is not None and receiver.kind == "inst":
                starts |= {event for method in row.begins for event in self.sites.on_class(receiver.name, method)}
            elif receiver is not None:
                holder = world.heap.plain(receiver)
                starts |= {event for method in row.begins for event in self.sites.on(holder, method)}
            if row.begun and not starts:
                return
            if receiver is not None and receiver.kind == "inst" and not starts:
                # Somebody starts the object once it has been made.
                made_at = (receiver.name, *world.class_of(receiver.name).subclasses)
                begins, exact = {event for cid in made_at for event in self.sites.instantiated.get(cid, ())}, False
            begins = starts or begins
        if handed and all(where == fid for where, _ in begins):
            begins = set(handed)
        ends = {event for method in row.joins for event in self.sites.on(made, method)}
        if "call" in row.joins:
            ends.add((fid, index))
        if begins == {(fid, index)} and not registered:
            ends |= {(fid, at) for at in awaits(world, fid, index)}
        executor = self.pools.of(fid, call, row, receiver, target)
        if executor is not None:
            if row.executor is not None and self._of_processes(executor):
                return
            for method in ("shutdown", "join"):
                ends |= set(self.sites.on(executor, method))
        repeated = any(
            in_loop(world.symbols.functions[where].facts, world.symbols.functions[where].facts.events[at].block)
            and not over_beside(world.symbols.functions[where].facts, (where, at), ends)
            for where, at in begins
        ) or (not handed and in_loop(info.facts, call.block) and begins != {(fid, index)})
        own_receiver = self._is_self(fid, target)
        outer = any(self.sites.often(where) for where in ({where for where, _ in handed} or {fid})) or len(handed) > 1
        overlap = {
            "yes": True,
            "no": False,
            "per-start": repeated or outer,
            "per-call": repeated or outer or (info.facts.kind != "module" and info.facts.name != "__init__"),
        }[row.self_overlap]
        # What a constructor starts on its own instance has that one, however many instances are made.
        again = overlap or info.facts.name == "__init__"
        distinct = again and not repeated and own_receiver and (once or row.self_overlap != "yes")
        fresh = self._fresh_receiver(fid, target, repeated)
        if fresh and (once or row.self_overlap != "yes"):
            distinct = True
        single = executor is not None and self.pools.single(executor)
        kept = self.kept.slot(fid, index) if once and own_receiver and not repeated else ""
        # So has a thread that runs a method of its own; and each is started once, wherever that is.
        own_thread = info.facts.name == "__init__" or (receiver is not None and receiver is target.owner)
        if kept or (once and own_receiver and own_thread and not in_loop(info.facts, call.block)):
            distinct = True
        distinct = distinct or each
        if kept:
            ends |= self.kept.awaited(fid, kept)
        if kind is None:
            kind = row.async_context if world.symbols.functions[target.name].facts.is_async else row.context
        self.entries.add(
            EntryPoint(
                target,
                kind,
                overlap and not single,
                distinct,
                row.why,
                name,
                info.path,
                call.line,
                begins=frozenset(begins),
                ends=frozenset(ends),
                lane=lane(world, row, receiver) if not single else f"{executor!r}",
                exclusive=single
                or row.exclusive
                or (row.self_overlap == "no" and receiver is not None and not row.lane),
                before_all=row.before_all,
                executor=executor,
                confidence=confidence,
                perhaps=overlap and (row.self_overlap == "per-call" or once) and not (repeated or outer),
                exact=exact,
                once=once,
                passes=frozenset({(fid, index)} if row.self_overlap.startswith("per-") else ()),
                kept=kept,
                made_in=fid,
                server=row.server,
                on_loop_of=frozenset({(fid, index)} if row.callers_loop and kind == "event-loop" else ()),
                foreign_loop=row.foreign_loop,
                green=row.green,
                table=table_of(row),
            )
        )

    def _is_self(self, fid: str, target: Obj) -> bool:
        """Whether a bound target's receiver is the spawning method's own ``self``."""
        owner = target.owner
        method = owner_of(self.world.symbols, fid) is not None
        return owner is not None and owner.kind == "inst" and method and owner.unknown

    def _fresh_receiver(self, fid: str, target: Obj, repeated: bool) -> bool:
        """Whether the receiver is made in the spawning function, so that each start has one of its own."""
        owner = target.owner
        made = self.world.made_by(owner) if owner is not None and owner.kind == "inst" else None
        if made is None or made[0].id != fid:
            return False
        return not repeated or in_loop(made[0].facts, made[1].block)

    def _of_processes(self, pool: Obj) -> bool:
        """Whether what a pool is given runs in other processes, which share no objects."""
        return any(row.context == "process" for row in self.rows.all(f"{pool.name}.submit"))

    def _on_its_own_loop(self, evaluator: Evaluator, call: f.Call, node: int) -> list[Obj]:
        """Coroutines that get a loop of their own in what starts: ``Thread(target=asyncio.run, args=(main(),))``."""
        names = [obj.name for obj in evaluator.eval(node) if obj.kind in ("symbol", "member")]
        if not any(row.callers_loop for name in names for row in self.rows.all(name)):
            return []
        found: list[Obj] = []
        for value in (*call.args, *(value for _, value in call.kwargs)):
            display = evaluator.nodes[value]
            for item in display.items if type(display) is f.New else (value,):
                made = evaluator.nodes[item]
                found.extend(one for one in self.callables.of(evaluator, item) if is_coroutine(self.world, made, one))
        return generic(found)

    def _reconcilers(self, fid: str, index: int, call: f.Call, dotted: str) -> None:
        """An object with a ``reconcile`` method handed to a library's controller is called back by its workers."""
        last = dotted.rpartition(".")[2].lower()
        if not any(word in last for word in ("controller", "manager", "reconcil", "operator")):
            return
        world = self.world
        evaluator = self.callables.evaluator(fid)
        for node in (*call.args, *(value for _, value in call.kwargs)):
            for obj in evaluator.eval(node):
                if obj.kind != "inst":
                    continue
                method = world.method(obj.name, "reconcile")
                if method is None:
                    continue
                target = world.heap.make("bound", method, owner=obj, func=world.heap.make("func", method))
                self.entries.add(
                    EntryPoint(
                        target,
                        "pool",
                        True,
                        False,
                        f"{dotted} calls reconcile() from its workers, for several objects at once",
                        dotted,
                        world.symbols.functions[fid].path,
                        call.line,
                        confidence="medium",
                    )
                )


def lane(world: World, row: Entry, receiver: Obj | None) -> str:
    """Callbacks that one library object calls in turn never overlap each other."""
    if row.self_overlap == "no" and receiver is not None and not row.lane:
        return f"{world.heap.plain(receiver)!r}"
    return row.lane


def asked(row: Entry | Serve, evaluator: Evaluator, call: f.Call | None) -> bool:
    """Whether a call has the constant keyword arguments that a row is about, and none that it is not about."""
    if not row.when and not row.unless:
        return True
    nodes = {key: evaluator.nodes[value] for key, value in call.kwargs} if call is not None else {}
    given = {(key, node.text) for key, node in nodes.items() if type(node) is f.Const}
    given |= {(key, ANY) for key in nodes}
    return (not row.when or not given.isdisjoint(row.when.items())) and given.isdisjoint(row.unless.items())


def _is_function(evaluator: Evaluator, node: int, target: Obj) -> bool:
    """Whether a value is the function that is to be called, not a coroutine that it has made."""
    functions = (obj for obj in evaluator.eval(node) if obj.kind in ("func", "bound", "partial"))
    return any(one.name == target.name for obj in functions for one in targets(evaluator.world, obj))


def _of_each(facts: f.Function, call: f.Call, node: int) -> bool:
    """Whether a value is a method of what the loop around a call meets: ``for w in workers: Thread(target=w.run)``."""
    method = facts.nodes[node]
    met = facts.nodes[method.base] if isinstance(method, f.Attr) else None
    if isinstance(met, f.Part):
        met = facts.nodes[met.base]
    if not isinstance(met, f.Elem):
        return False
    walked = facts.nodes[viewed(facts, met.base)]
    if isinstance(walked, f.Attr) and facts.name != "__init__":
        return False  # what is kept in an attribute may be met once more when the function is called again
    block = call.block
    while block > 0 and facts.blocks[block].kind != "loop":
        block = facts.blocks[block].parent
    return block > 0 and facts.blocks[block].test == met.base
