"""Where servers run: handlers of a framework are called from then on, not from the moment they are registered.

A server that is run by a plain call keeps its caller waiting, so what the caller did before is over when the first
request arrives; one that is handed to a thread or a pool (``Thread(target=app.run)``) leaves it free to go on.

Which server a handler class is given decides as well whether two requests are handled at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from racelint.contexts import Discovery, EntryPoint
from racelint.frameworks.schema import Host, Matcher
from racelint.link.call_sites import Event
from racelint.model import facts as f


@dataclass(frozen=True, slots=True)
class Serving:
    """Call events that run servers: ``waiting`` return when the server has ended, ``background`` at once."""

    waiting: frozenset[Event] = frozenset()
    background: frozenset[Event] = frozenset()

    @property
    def sites(self) -> frozenset[Event]:
        """All of them."""
        return self.waiting | self.background


def find(discovery: Discovery) -> dict[str, Serving]:
    """Kind of server -> where the program runs one."""
    world = discovery.world
    rows = Matcher.of(world.tables.serve)
    waiting: dict[str, set[Event]] = defaultdict(set)
    background: dict[str, set[Event]] = defaultdict(set)
    for (fid, index), callees in world.callees.items():
        call = world.symbols.functions[fid].facts.events[index]
        assert isinstance(call, f.Call)
        for callee in callees:
            for name, _ in discovery.called_names(callee):
                for row in rows.all(name):
                    waiting[row.server].add((fid, index))
        evaluator = discovery.evaluator(fid)
        for node in (*call.args, *(value for _, value in call.kwargs)):
            if not isinstance(evaluator.nodes[node], (f.Attr, f.Global, f.Imported)):
                continue
            for obj in evaluator.eval(node):
                for row in rows.all(obj.name) if obj.kind in ("symbol", "member") else ():
                    background[row.server].add((fid, index))
    return {
        server: Serving(frozenset(waiting[server]), frozenset(background[server]))
        for server in sorted({*waiting, *background})
    }


def placed(entries: Iterable[EntryPoint], servers: dict[str, Serving]) -> tuple[EntryPoint, ...]:
    """The entry points, those that a server of the program calls with the sites where it is run."""
    return tuple(
        replace(entry, begins=frozenset(), serves=servers[entry.server].sites) if entry.server in servers else entry
        for entry in entries
    )


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
        names.update(name for name, _ in discovery.called_names(callee))
        cls = callee if callee.kind == "class" else callee.owner
        if cls is not None and cls.kind in ("class", "inst"):
            names.update(world.class_of(cls.name).external)
    return next((row for row in rows if not names.isdisjoint(row.name)), None)
