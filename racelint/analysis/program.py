"""The analysed program: linked world, contexts, reached accesses and races. What rules and commands look at."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import networkx as nx

from racelint import greening, manners, polling, serving
from racelint.analysis import fed, lock_decorators
from racelint.analysis.alone import Alone
from racelint.analysis.anchors import Once
from racelint.analysis.contracts import Contracts
from racelint.analysis.dedicated import Dedicated
from racelint.analysis.effects import Effects
from racelint.analysis.enforce import Breach, Enforcer, settled
from racelint.analysis.given import Given
from racelint.analysis.identity import Identity
from racelint.analysis.locks import Lock, Locks
from racelint.analysis.loops import Loops
from racelint.analysis.origins import Provenance
from racelint.analysis.overlap import LIBRARY, Overlap
from racelint.analysis.races import Judges, Race, Races
from racelint.analysis.records import Records
from racelint.analysis.sharing import Holders, Sharing
from racelint.analysis.starts import Starts, starts
from racelint.analysis.survey import MAKERS, Everyone, Survey, UnderLocks, roots
from racelint.analysis.task_interfaces import Family, families, own_tasks, waited_for
from racelint.analysis.turns import TaskRaces, Turns
from racelint.analysis.walk import Group, Reached, State, Walker, Watch
from racelint.analysis.watch import Watcher
from racelint.contexts.discovery import Discovery
from racelint.contexts.entry_points import EntryPoint
from racelint.link.call_sites import Event, in_loop
from racelint.link.calls import call_graph, led_to
from racelint.link.classes import owner_of, related
from racelint.link.objects import Obj
from racelint.link.world import World
from racelint.model import facts as f

# The index of the group of functions that no entry point leads to.
NOBODY = -1
SPECIAL_API = (
    "__call__",
    "__getitem__",
    "__setitem__",
    "__delitem__",
    "__iter__",
    "__len__",
    "__contains__",
    "__enter__",
    "__exit__",
)


@dataclass(slots=True)
class Program:
    """Everything known after the analysis.

    ``declared``: all accesses to places that have a guard by contract. ``survey`` finds those to any places, in all
    code, whether something runs beside it or not. ``singletons``: classes of which there is one instance.
    """

    world: World
    graph: nx.MultiDiGraph[str]
    entries: tuple[EntryPoint, ...]
    groups: tuple[Group, ...]
    reached: tuple[Reached, ...]
    races: tuple[Race, ...]
    overlap: Overlap
    turns: Turns
    contracts: Contracts
    breaches: tuple[Breach, ...]
    declared: tuple[Reached, ...]
    survey: Callable[[Collection[str]], tuple[Reached, ...]]
    watched: Watcher
    singletons: frozenset[str]


class Analysis:
    """Runs the whole-program phases after linking."""

    def __init__(self, world: World, extra: Iterable[EntryPoint] = (), *, library: bool = False) -> None:
        self.world = world
        self.library = library
        self.graph = call_graph(world)
        self.discovery = Discovery(world)
        self.polled = polling.find(self.discovery)
        polling.connect(world, self.graph, self.polled)
        found = manners.asked_for(self.discovery, greening.turned_green(world, self.discovery.run()))
        entries = (*serving.hosted(self.discovery, found), *extra)
        servers = serving.find(self.discovery)
        self.entries = serving.placed(entries, servers)
        self.feeding = serving.placed(fed.contexts(world), servers)
        self.waiting = frozenset(site for found in servers.values() for site in found.waiting)
        once = Once(world, self.discovery.sites, self.entries)
        self.entries = tuple(once.settled(entry) for entry in self.entries)
        self.background = frozenset(site for found in servers.values() for site in found.background)
        self.handed = frozenset(site for found in servers.values() for site in found.threads)
        self.locks = Locks(world)
        self.contracts = Contracts()
        self.judges = Judges()
        self._reach: dict[frozenset[str], frozenset[str]] = {}
        self._led_to: dict[str, frozenset[str]] = {}

    def run(self, progress: Callable[[int, int], None] | None = None) -> Program:
        """Walk every group of entry points, pair what was reached."""
        world = self.world
        groups = self.groups()
        api_classes = [group.api for group in groups if group.api in world.symbols.classes]
        if self.library:
            api_classes.extend(self._public_classes())
        kept = {target: None for targets in self.polled.values() for target in targets}
        holders = Holders(world)
        sharing = Sharing(world, self.entries, api_classes, kept, holders=holders)
        active = frozenset(group.api for group in groups if group.api)
        required = lock_decorators.together(self.contracts.held, lock_decorators.held(world, self.locks))
        effects = Effects(world)
        records, watched = Records(), Watcher(world, self.locks, self.discovery.calls.methods_given)
        identity = Identity(world, self._plain)
        watches = (records, watched)
        walked_with = (self.starts, active, required, self.polled, identity, Given(world))
        walker = Walker(world, self.locks, effects, sharing, *walked_with, watches)
        covered: list[tuple[Group, list[State]]] = []
        for done, group in enumerate(groups):
            if progress is not None:
                progress(done, len(groups))
            walker.walk(group)
            covered.append((group, walker.covered))
        self._walk_under_locks(walker, watched, covered)
        by_frameworks = tuple(fed.changes(world, self.feeding, len(groups)))
        groups = (*groups, *dict.fromkeys(access.group for access in by_frameworks))
        reached = (*records.reached, *by_frameworks)
        sites = {**walker.visited_sites, **self._waiting_groups(groups)}
        loops = Loops(groups, sites, self.handed)
        told = (world, sharing, groups, sites, self.api_threads, self._made(), self.discovery.sites, active, loops)
        provenance = Provenance(world, self.graph, self._plain, effects)
        alone = Alone(world, self.discovery.sites, provenance.evaluator)
        overlap = Overlap(*told, provenance, alone, Dedicated(world, self.lock_owners))
        singletons = self._singletons()
        finder = Races(world, overlap, singletons)
        finder.judges = self.judges
        races = list(finder.find(reached))
        known = {(race.first.touch.fid, race.name) for race in races}
        users = self._task_interfaces(len(groups))
        by_tasks, begun = self._walk_users(users, api_classes, required, identity, walker.given, effects, holders)
        turns = Turns(
            world,
            sharing,
            (*groups, *users),
            {site: sites.get(site, set()) | begun.get(site, set()) for site in {**sites, **begun}},
            {owner: tasks for owner, _, tasks in self.families},
            self._made(),
            self.discovery.sites,
            active | self.own_tasks.keys() | {group.api for group in users},
            loops,
            provenance,
            alone,
            Dedicated(world, self.waited_for),
        )
        of_tasks = TaskRaces(world, turns, singletons)
        of_tasks.judges = self.judges
        for race in of_tasks.find((*reached, *by_tasks)):
            if (race.first.touch.fid, race.name) not in known:  # what threads can break, tasks need not be blamed for
                races.append(race)
        races = [race for race in races if not settled(self.contracts, race)]

        def look(watch: Watch) -> None:
            everyone = Everyone(world, self.entries, api_classes, holders=holders)
            surveyor = Survey(world, self.locks, effects, everyone, *walked_with, (watch,))
            for group in self._everything():
                surveyor.walk(group)

        def survey(places: Collection[str]) -> tuple[Reached, ...]:
            found = Records(places)
            look(found)
            return found.reached

        enforcer = Enforcer(self.contracts, world.symbols.functions, self.entries)
        if self.contracts.guarded or self.contracts.required:
            look(enforcer)
        return Program(
            world,
            self.graph,
            self.entries,
            (*groups, *users),
            (*reached, *by_tasks),
            tuple(races),
            overlap,
            turns,
            self.contracts,
            tuple(enforcer.breaches()),
            enforcer.accesses,
            survey,
            watched,
            singletons,
        )

    def _everything(self) -> Iterator[Group]:
        """All code: module bodies, the entry points, and the functions that nobody calls."""
        plain, bodies = roots(self.world, self._plain, {entry.target.name for entry in self.entries})
        imported = tuple(self._entry(fid, "main", "it runs when the module is imported") for fid in bodies)
        uncalled = tuple(self._uncalled(fid) for fid in plain)
        for number, entries in enumerate((imported, self.entries, uncalled)):
            yield Group(number, entries, "any", False)

    def _uncalled(self, fid: str) -> EntryPoint:
        why = "nobody in the project calls it, so nobody holds a lock for it"
        info = self.world.symbols.functions[fid]
        if info.is_method and info.facts.name in MAKERS:
            return self._constructor(fid, "any", why)
        return self._entry(fid, "any", why)

    def _waiting_groups(self, groups: tuple[Group, ...]) -> dict[Event, set[int]]:
        """Where a caller waits for a server -> the groups that come there."""
        reached = [(group.index, self._reached_from(group.entries)) for group in groups] if self.waiting else []
        return {site: {index for index, functions in reached if site[0] in functions} for site in self.waiting}

    def _walk_under_locks(self, walker: Walker, watched: Watcher, covered: Iterable[tuple[Group, list[State]]]) -> None:
        """What the walks have left out because of the locks held there, and what no entry point leads to."""
        under = UnderLocks(walker, self._plain, (watched,))
        for group, states in covered:
            under.follow(group, states)
        why = "whoever calls it"
        alone = [self._entry(fid, "any", why) for fid in sorted(under.takers - watched.visited.keys())]
        under.walk(Group(NOBODY, tuple(alone), "any", False))

    def _made(self) -> Counter[str]:
        """How many calls make instances of each class (copies too), those of its subclasses included."""
        world = self.world
        sites = {
            (callee.name, event)
            for event, callees in world.callees.items()
            for callee in callees
            if callee.kind == "class"
        }
        sites.update(
            (obj.name, obj.site)
            for objs in world.cells.values()
            for obj in objs
            if obj.kind == "inst"
            and obj.site is not None
            and obj.site[0] in world.symbols.functions
            and obj.site[1] >= 0
        )
        return Counter(parent for cid, _ in sites for parent in world.class_of(cid).mro)

    # -- groups -------------------------------------------------------------------------------------------------------

    def groups(self) -> tuple[Group, ...]:
        """Entry points that overlap alike, walked together; then the main thread and public interfaces."""
        found: list[Group] = []
        together: dict[tuple[object, ...], list[EntryPoint]] = defaultdict(list)
        for entry in self.entries:
            if entry.self_overlap and not entry.distinct_self and not entry.begins:
                together[entry.kind, entry.lane, entry.exclusive, bool(entry.serialised_by)].append(entry)
            else:
                together[len(together), entry.target].append(entry)
        for entries in together.values():
            first = entries[0]
            found.append(Group(len(found), tuple(entries), first.kind, first.self_overlap))
        main = self._mains
        plain = tuple(entry for entry in main if entry.target.kind != "bound")
        methods = tuple(entry for entry in main if entry.target.kind == "bound")
        for part, application in ((plain, True), (methods, False)):
            if part:
                found.append(Group(len(found), part, "main", False, main=True, application=application))
        if self.library:
            found.append(Group(len(found), self._library_entries(), "any", True, api=LIBRARY))
        else:
            for owner, fids, overlaps in self._interfaces():
                entries_of = tuple(self._public_entry(fid, owner) for fid in fids)
                found.append(
                    Group(
                        len(found),
                        entries_of,
                        "any",
                        overlaps,
                        api=owner,
                        initially=self._initially(owner, self.api_threads.get(owner, ()), fids),
                    )
                )
        return tuple(found)

    @cached_property
    def starts(self) -> Starts:
        """What begins and ends where."""
        return starts(self.world, self.graph, self.entries, self.background)

    @cached_property
    def _mains(self) -> tuple[EntryPoint, ...]:
        """Uncalled functions and module bodies from which something concurrent is started."""
        world = self.world
        targeted = {entry.target.name for entry in self.entries}
        alone = self.discovery.entries.alone
        found = []
        for fid, info in world.symbols.functions.items():
            if fid not in self.starts.reach or fid in targeted or fid in alone or info.facts.kind == "class":
                continue
            if info.facts.kind == "function" and self.graph.in_degree(fid) > 0:
                continue
            why = "the code that starts it goes on in the main thread"
            if info.is_method and info.facts.name == "__init__":
                found.append(self._constructor(fid, "main", why))
            elif not (info.is_method and info.facts.name.startswith("__")):
                found.append(self._entry(fid, "main", why))
        return tuple(found)

    def _entry(self, fid: str, kind: str, why: str, receiver: Obj | None = None) -> EntryPoint:
        world = self.world
        info = world.symbols.functions[fid]
        (first, *_) = tuple(world.function_objects(fid)) or (world.heap.make("func", fid),)
        target = first if first.kind == "func" else world.heap.make("func", fid)
        if info.is_method and not world.is_static(fid) and info.cls is not None:
            owner = receiver or world.heap.make("inst", info.cls)
            if world.is_classmethod(fid):
                owner = world.heap.make("class", info.cls)
            target = world.heap.make("bound", target.name, owner=owner, func=target, bindings=target.bindings)
        return EntryPoint(target, kind, False, False, why, kind, info.path, info.facts.line)  # type: ignore[arg-type]

    # -- public interfaces --------------------------------------------------------------------------------------------

    @cached_property
    def api_threads(self) -> dict[str, frozenset[str]]:
        """Owner of an interface -> functions of the entry points that it starts."""
        world = self.world
        found: dict[str, set[str]] = defaultdict(set)
        for entry in self.entries:
            if entry.kind == "event-loop" and not entry.foreign_loop:
                continue
            owners: set[str] = set()
            receiver = entry.target.owner if not entry.foreign_loop else None
            if receiver is not None and receiver.kind == "inst" and not receiver.fresh:
                owners.add(receiver.name)
            for fid, _ in entry.begins:
                owner = owner_of(self.world.symbols, fid)
                if owner is not None:
                    owners.add(owner)
            for owner in sorted(owners):  # the order of groups decides between ways that are as good
                found[owner].add(entry.target.name)
                if owner in world.symbols.classes:
                    for relative in world.class_of(owner).subclasses:
                        found[relative].add(entry.target.name)
        # A class that holds a threaded object passes its calls on: its interface is on the caller's side as well.
        return {owner: frozenset(functions) for owner, functions in found.items()}

    @cached_property
    def _on_loops(self) -> frozenset[str | None]:
        """Classes that hand coroutines to an event loop of another thread."""
        return frozenset(
            owner_of(self.world.symbols, fid) for entry in self.entries if entry.foreign_loop for fid, _ in entry.begins
        )

    @cached_property
    def lock_owners(self) -> dict[str, tuple[str, ...]]:
        """Classes and modules that hold a lock for threads, with the names of their locks."""
        world = self.world
        found: dict[str, tuple[str, ...]] = {}
        for cell, objs in world.cells.items():
            if cell[0] not in ("a", "k", "g"):
                continue
            for obj in objs:
                row = world.guards.first(obj.name) if obj.kind == "ext" else None
                if row is not None and row.threads and not row.process_only:
                    owner, name = str(cell[1]), str(cell[2])
                    found[owner] = (*found.get(owner, ()), name)
                    break
        return found

    def _interfaces(self) -> list[tuple[str, list[str], bool]]:
        """(owner, public functions, overlap each other) of classes and modules that mean to be used by threads."""
        world = self.world
        owners: dict[str, bool] = dict.fromkeys(self.api_threads, False)
        for owner in self.lock_owners:
            # A lock beside a thread of its own is there for that thread: it says nothing of callers among each other.
            owners.setdefault(owner, True)
            if owner in world.symbols.classes:
                for sub in world.class_of(owner).subclasses:
                    owners.setdefault(sub, True)
        found = []
        led_to = self._reached_from(tuple(self.entries))
        for owner, overlaps in owners.items():
            if owner in world.symbols.classes:
                fids = self._public_methods(owner)
                if owner in self._on_loops:
                    # Whoever hands coroutines to a loop awaits the others on that loop.
                    fids = [fid for fid in fids if not world.symbols.functions[fid].facts.is_async]
            else:
                fids = [
                    f"{owner}:{function.qualname}"
                    for function in world.symbols.modules[owner].facts.functions
                    if function.kind == "function"
                    and function.cls is None
                    and function.parent is None
                    and not function.name.startswith("_")
                ]
            entries = {entry.target.name for entry in self.entries}
            fids = [fid for fid in fids if fid not in entries and not self._in_child(fid)]
            used = self._reached_from(self._users(owner))
            if used.intersection(fids):
                # The project's own main code uses it, so its callers are seen; what nothing leads to is called from
                # outside (a framework that dispatches by name), unless it is a step of construction.
                seen = used | led_to
                fids = [fid for fid in fids if fid not in seen and not self._constructs(fid)]
            if not overlaps and not self._begins(owner).isdisjoint(fids):
                fids.extend(self._constructor_of(owner))
            if fids:
                found.append((owner, fids, overlaps))
        return found

    @cached_property
    def _forked(self) -> frozenset[str]:
        """What a new process does before anything else runs there (``os.register_at_fork(after_in_child=f)``)."""
        return led_to(self._plain, frozenset(self.discovery.entries.alone))

    def _in_child(self, fid: str) -> bool:
        """Whether a function is there to be called in a new process: by nobody else in the project."""
        if fid in self.discovery.entries.alone:
            return True
        return fid in self._forked and all(caller in self._forked for caller in self.graph.predecessors(fid))

    def _begins(self, owner: str) -> frozenset[str]:
        """The functions of an interface that start something: who calls them from outside has made the instance."""
        started = self.api_threads.get(owner, frozenset())
        return frozenset(fid for entry in self.entries if entry.target.name in started for fid, _ in entry.begins)

    def _constructor_of(self, owner: str) -> Iterator[str]:
        """The constructor of a class: it may run while what another instance has started does."""
        init = self.world.method(owner, "__init__") if owner in self.world.symbols.classes else None
        if init is not None:
            yield init

    def _constructs(self, fid: str) -> bool:
        """Whether a constructor calls a function."""
        functions = self.world.symbols.functions
        return any(functions[caller].facts.name == "__init__" for caller in self.graph.predecessors(fid))

    @cached_property
    def _plain(self) -> nx.DiGraph[str]:
        return nx.DiGraph(self.graph)

    def _users(self, owner: str) -> tuple[EntryPoint, ...]:
        """The project's own main code, seen from an interface: its main programs, and methods of other classes.

        A method of the interface itself that starts something is no user of it: its callers are those in question.
        """
        symbols = self.world.symbols
        return tuple(
            entry
            for entry in self._mains
            if entry.target.owner is None
            or (owner in symbols.classes and not related(symbols, entry.target.owner.name, owner))
        )

    def _reached_from(self, entries: tuple[EntryPoint, ...]) -> frozenset[str]:
        """The functions of some entry points and all that they lead to."""
        functions = frozenset(entry.target.name for entry in entries)
        found = self._reach.get(functions)
        if found is None:
            found = self._reach[functions] = led_to(self._plain, functions)
        return found

    def _ahead(self, fid: str) -> frozenset[str]:
        """The functions that a function leads to."""
        found = self._led_to.get(fid)
        if found is None:
            found = self._led_to[fid] = frozenset(nx.descendants(self._plain, fid))
        return found

    def _public_methods(self, cid: str) -> list[str]:
        world = self.world
        names = {name for parent in world.class_of(cid).mro for name in world.class_of(parent).methods}
        found = []
        for name in sorted(names):
            if name.startswith("_") and name not in SPECIAL_API:
                continue
            if name.endswith((".setter", ".deleter")):
                continue
            fid = world.method(cid, name)
            if fid is not None:
                found.append(fid)
        return found

    def _public_entry(self, fid: str, owner: str) -> EntryPoint:
        why = "public functions run on the caller's side"
        if self.world.symbols.functions[fid].facts.name == "__init__":
            return self._constructor(fid, "any", why)
        receiver = self.world.heap.make("inst", owner) if owner in self.world.symbols.classes else None
        return self._entry(fid, "any", why, receiver)

    def _initially(self, owner: str, begun: Collection[str], fids: list[str]) -> dict[str, frozenset[Event]]:
        """What may have been started before a public function is called: everything it does not start itself."""
        started = frozenset(site for entry in self.entries if entry.target.name in begun for site in entry.begins)
        return {fid: started - self._begins_itself(owner, fid) for fid in fids}

    def _begins_itself(self, owner: str, fid: str) -> frozenset[Event]:
        """What a public function starts, also through what instances of ``owner`` have for the methods it calls."""
        found, seen, work = set[Event](), {fid}, [fid]
        while work:
            current = work.pop()
            found |= self.starts.reach.get(current, frozenset())
            facts = self.world.symbols.functions[current].facts
            me = f.Param(facts.params[0].name) if facts.params and owner in self.world.symbols.classes else None
            for event in facts.events:
                target = event.func if type(event) is f.Call else event.target if type(event) is f.Access else -1
                named = facts.nodes[target] if target >= 0 else None
                if type(named) is not f.Attr or facts.nodes[named.base] != me:
                    continue
                setter = type(event) is f.Access and event.kind == "store"
                method = self.world.method(owner, f"{named.name}.setter" if setter else named.name)
                if method is not None and method not in seen:
                    seen.add(method)
                    work.append(method)
        return frozenset(found)

    # -- public interfaces for tasks ----------------------------------------------------------------------------------

    @cached_property
    def own_tasks(self) -> dict[str, frozenset[str]]:
        """Class -> functions that run on the loop for its instances."""
        return own_tasks(self.world, self.entries)

    @cached_property
    def waited_for(self) -> dict[str, tuple[str, ...]]:
        """Classes that several tasks may use at once, with the attributes that show it."""
        return waited_for(self.world)

    @cached_property
    def families(self) -> tuple[Family, ...]:
        """The topmost classes that mean to be used by tasks."""
        return tuple(families(self.world, self.waited_for, self.own_tasks))

    def _task_interfaces(self, number: int) -> tuple[Group, ...]:
        """Public functions of classes that mean to be used by tasks; those whose callers are seen are left out."""
        found: list[Group] = []
        for owner, overlaps, tasks in self.families:
            others = [entry for entry in self.entries if entry.kind == "event-loop" and entry.target.name not in tasks]
            seen = self._reached_from(tuple(others))
            methods = self._public_family(owner)
            own = self._reached_from(tuple(entry for entry in self.entries if entry.target.name in tasks))
            fids = [fid for fid in methods if fid not in tasks and not (fid in own and self._internal(owner, fid))]
            if seen.intersection(fids):
                fids = [fid for fid in fids if fid not in seen and not self._constructs(fid)]
            if any(self.world.symbols.functions[fid].facts.is_async for fid in fids):
                entries = tuple(self._awaited(fid, methods[fid]) for fid in fids)
                begun = self._initially(owner, tasks, fids)
                index = number + len(found)
                found.append(Group(index, entries, "event-loop", overlaps, api=owner, initially=begun))
        return tuple(found)

    def _internal(self, owner: str, fid: str) -> bool:
        """Whether a function is called by methods of its class and of no other one."""
        callers = {owner_of(self.world.symbols, caller) for caller in self.graph.predecessors(fid)}
        return bool(callers) and all(
            caller is not None and related(self.world.symbols, caller, owner) for caller in callers
        )

    def _public_family(self, owner: str) -> dict[str, str]:
        """The public functions of a class and of its subclasses, with the class whose instances they are called on.

        A subclass that is not made by the constructor of the class does not have what that keeps for its callers.
        """
        world, found = self.world, dict[str, str]()
        init = world.method(owner, "__init__")
        for cid in (owner, *world.class_of(owner).subclasses):
            own = world.method(cid, "__init__")
            if init is None or own is None or own == init or init in self._ahead(own):
                for fid in self._public_methods(cid):
                    found.setdefault(fid, cid)
        return found

    def _awaited(self, fid: str, cid: str) -> EntryPoint:
        why = "public functions run in the tasks of the user"
        return self._entry(fid, "event-loop", why, self.world.heap.make("inst", cid))

    def _walk_users(
        self,
        groups: Iterable[Group],
        api_classes: Iterable[str],
        required: Mapping[str, tuple[Lock, ...]],
        identity: Identity,
        given: Given,
        effects: Effects,
        holders: Holders,
    ) -> tuple[tuple[Reached, ...], Mapping[Event, set[int]]]:
        """What the tasks of users reach, and which of them begin something where: threads have no part in it."""
        world, records = self.world, Records()
        active = dict.fromkeys((*api_classes, *(group.api for group in groups)))
        sharing = Sharing(world, self.entries, active, holders=holders)
        walked_with = (self.starts, frozenset(active), required, self.polled, identity, given)
        walker = Walker(world, self.locks, effects, sharing, *walked_with, (records,))
        for group in groups:
            walker.walk(group)
        return records.reached, walker.visited_sites

    def _public_classes(self) -> list[str]:
        return list(self.world.symbols.classes)

    def _library_entries(self) -> tuple[EntryPoint, ...]:
        world = self.world
        found = []
        for fid, info in world.symbols.functions.items():
            facts = info.facts
            if facts.kind != "function" or facts.parent is not None or facts.name == "<lambda>":
                continue
            public = not facts.name.startswith("_") or (facts.cls is not None and facts.name in SPECIAL_API)
            if public and not facts.is_async:
                found.append(self._entry(fid, "any", "a public function of the library"))
            if facts.cls is not None and facts.name == "__init__":
                found.append(self._constructor(fid, "any", "instances are made by any thread"))
        return tuple(found)

    def _constructor(self, fid: str, kind: str, why: str) -> EntryPoint:
        """What a constructor does to shared places counts, what it does to the instance only once others can see it."""
        world = self.world
        info = world.symbols.functions[fid]
        assert info.cls is not None
        receiver = world.heap.make("inst", info.cls, (fid, -9), fresh=True)
        return self._entry(fid, kind, why, receiver)

    # -- singletons ---------------------------------------------------------------------------------------------------

    def _singletons(self) -> frozenset[str]:
        """Classes with one instance: made at one place that runs once."""
        found = set()
        for cid, sites in self.discovery.sites.instantiated.items():
            if len(sites) != 1:
                continue
            ((fid, index),) = sites
            facts = self.world.symbols.functions[fid].facts
            event = facts.events[index]
            if not in_loop(facts, event.block) and facts.kind in ("module", "class"):
                found.add(cid)
        return frozenset(found)
