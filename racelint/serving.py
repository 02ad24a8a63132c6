"""Where servers run: handlers of a framework are called from then on, not from the moment they are registered.

A server that is run by a plain call keeps its caller waiting, so what the caller did before is over when the first
request arrives; one that is handed to a thread or a pool (``Thread(target=app.run)``) leaves it free to go on.

Which server a handler class is given decides as well whether two requests are handled at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from racelint.contexts.callables import called_names, named_calls
from racelint.contexts.calls import asked
from racelint.contexts.discovery import Discovery
from racelint.contexts.entry_points import EntryPoint
from racelint.frameworks.schema import Host, Matcher
from racelint.link.call_sites import Event
from racelint.model import facts as f


@dataclass(frozen=True, slots=True)
class Serving:
    """Call events that run servers: ``waiting`` return when the server has ended, the others at once.

    ``tasks`` leave it to the event loop of their caller, ``threads`` to another thread. ``one_by_one`` says why
    requests are handled one after the other, where they are so by every server of this kind.
    """

    waiting: frozenset[Event] = frozenset()
    tasks: frozenset[Event] = frozenset()
    threads: frozenset[Event] = frozenset()
    one_by_one: str = ""

    @property
    def sites(self) -> frozenset[Event]:
        """All of them."""
        return self.waiting | self.background

    @property
    def background(self) -> frozenset[Event]:
        """Those that the caller does not wait for."""
        return self.tasks | self.threads


def find(discovery: Discovery) -> dict[str, Serving]:
    """Kind of server -> where the program runs one."""
    world = discovery.world
    rows = Matcher.of(world.tables.serve)
    waiting: dict[str, set[Event]] = defaultdict(set)
    tasks: dict[str, set[Event]] = defaultdict(set)
    threads: dict[str, set[Event]] = defaultdict(set)
    serial: dict[str, dict[Event, str]] = defaultdict(dict)
    for event, call, name, _ in named_calls(world):
        for row in rows.all(name):
            if asked(row, discovery.callables.evaluator(event[0]), call):
                (tasks if row.background else waiting)[row.server].add(event)
                if row.one_by_one:
                    serial[row.server][event] = row.why
    for fid, index in world.callees:
        start = world.symbols.functions[fid].facts.events[index]
        assert isinstance(start, f.Call)
        evaluator = discovery.callables.evaluator(fid)
        for node in (*start.args, *(value for _, value in start.kwargs)):
            if not isinstance(evaluator.nodes[node], (f.Attr, f.Global, f.Imported)):
                continue
            for obj in evaluator.eval(node):
                for row in rows.all(obj.name) if obj.kind in ("symbol", "member") else ():
                    threads[row.server].add((fid, index))
    found: dict[str, Serving] = {}
    for server in sorted({*waiting, *tasks, *threads}):
        serving = Serving(frozenset(waiting[server]), frozenset(tasks[server]), frozenset(threads[server]))
        alike = serial[server].keys() == serving.sites
        found[server] = replace(serving, one_by_one=serial[server][min(serving.sites)]) if alike else serving
    return found


def placed(entries: Iterable[EntryPoint], servers: dict[str, Serving]) -> tuple[EntryPoint, ...]:
    """The entry points, those that a server of the program calls with the sites where it is run."""
    return tuple(_placed(entry, servers[entry.server]) if entry.server in servers else entry for entry in entries)


def _placed(entry: EntryPoint, serving: Serving) -> EntryPoint:
    if serving.one_by_one and entry.kind in ("thread", "pool"):
        entry = _one_by_one(entry, serving)
    loops = serving.sites if entry.kind == "event-loop" else frozenset()
    return replace(entry, begins=frozenset(), serves=serving.sites, on_loop_of=loops)


def _one_by_one(entry: EntryPoint, serving: Serving) -> EntryPoint:
    """An entry point whose calls follow each other: on the loop that the server leaves it to, or else in one thread."""
    if serving.tasks == serving.sites:
        return replace(entry, kind="event-loop", why=serving.one_by_one)
    return replace(entry, self_overlap=False, exclusive=True, lane=f"server {entry.server}", why=serving.one_by_one)


def hosted(discovery: Discovery, entries: Iterable[EntryPoint]) -> Iterator[EntryPoint]:
    """The entry points, handlers of a class that only servers of known kinds are given as these call them."""
    rows = discovery.world.tables.host
    for entry in entries:
        hosts = [_host(discovery, rows, event) for event in sorted(entry.begins)] if entry.distinct_self else []
        known = [host for host in hosts if host is not None]
        if known and len(known) == len(hosts):
            if all(host.context == "process" for host in known):
                continue  # no object is shared
            if len(known) == 1 and known[0].self_overlap == "no":
                yield replace(entry, self_overlap=False, exclusive=True, lane=entry.row, why=known[0].why)
                continue
        yield entry


def _host(discovery: Discovery, rows: Iterable[Host], event: Event) -> Host | None:
    """What kind of server is made by a call, by the first row that names it or one of its bases."""
    world = discovery.world
    names: set[str] = set()
    for callee in world.callees.get(event, ()):
        names.update(name for name, _ in called_names(discovery.world, callee))
        cls = callee if callee.kind == "class" else callee.owner
        if cls is not None and cls.kind in ("class", "inst"):
            names.update(world.class_of(cls.name).external)
    return next((row for row in rows if not names.isdisjoint(row.name)), None)
