"""Which reached accesses can happen at the same time, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from racelint.analysis.alone import Alone
from racelint.analysis.anchors import Anchors
from racelint.analysis.choices import Choices
from racelint.analysis.dedicated import Dedicated
from racelint.analysis.handed import Handed
from racelint.analysis.keeping import Keeping
from racelint.analysis.loops import Loops
from racelint.analysis.origins import Provenance
from racelint.analysis.own_keys import OwnKeys
from racelint.analysis.parts import Parts
from racelint.analysis.receivers import Receivers
from racelint.analysis.shares import Shares
from racelint.analysis.sharing import Sharing
from racelint.analysis.walk import Group, Reached, State
from racelint.contexts.entry_points import SELF_SITE, EntryPoint
from racelint.link.awaited import over_beside
from racelint.link.call_sites import CallSites, Event, main_guarded
from racelint.link.classes import related
from racelint.link.objects import Obj, may_alias
from racelint.link.world import World

# Calls that make instances of a class: from SOME on which of them is meant is a guess, beyond MANY it is a wild one.
SOME = 2
MANY = 3
# Calls of a function that makes containers: of so many each has one of its own.
FACTORY = 8
# The owner of the public functions of a whole library.
LIBRARY = "<library>"


class Overlap:
    """Decides overlap of contexts and aliasing of objects between two accesses."""

    def __init__(
        self,
        world: World,
        sharing: Sharing,
        groups: tuple[Group, ...],
        sites: Mapping[Event, set[int]],
        api_threads: Mapping[str, frozenset[str]],
        made: Mapping[str, int],
        calls: CallSites,
        active: frozenset[str],
        loops: Loops,
        provenance: Provenance,
        alone: Alone,
        dedicated: Dedicated,
    ) -> None:
        self.symbols = world.symbols
        keeping = Keeping(world)
        self.handed = Handed(world, sharing, keeping, calls, provenance.plain)
        self.shares = Shares(world, keeping)
        self.parts = Parts(world, provenance.effects, keeping, provenance.plain, calls)
        self.own_keys = OwnKeys(world, calls)
        self.receivers = Receivers(world, provenance)
        self.alone = alone
        entries = [entry for group in groups if not (group.main or group.api) for entry in group.entries]
        self.anchors = Anchors(world, provenance, alone.identified, calls, entries)
        self.groups = groups
        self.sites = sites
        self.api_threads = api_threads
        self.made = made
        self.callers = calls.callers
        self.choices = Choices(self.symbols, calls.callers)
        self.active = active
        self.loops = loops
        self.provenance = provenance
        self.dedicated = dedicated
        # For what an access is reached by: groups, and whether it is before all that they start.
        self._starters: dict[tuple[int, int, frozenset[Event]], dict[int, bool]] = defaultdict(dict)
        # Main programs: functions that nobody calls and that start something.
        self.mains = frozenset(entry.target.name for group in groups if group.application for entry in group.entries)

    def why(self, a: Reached, b: Reached) -> str | None:
        """The reason the second access can fall into what the first one is a step of, or None when it cannot."""
        if any(access.group.api and access.group.kind == "event-loop" for access in (a, b)):
            return None  # tasks of the user, see `turns`
        if a.group is b.group:
            return self._within(a, b)
        if a.state.on_loop != b.state.on_loop:
            return None  # what a coroutine does beside other threads is found where it is an entry point
        return self._across(a, b)

    def _within(self, a: Reached, b: Reached) -> str | None:
        group = a.group
        if not group.self_overlap or group.kind == "event-loop":
            return None
        first, second = a.state.entry, b.state.entry
        if group.api:
            if group.api == LIBRARY:
                if self._coroutine(first) and self._coroutine(second):
                    return None  # they run on the loop of its user
                return "public functions of a library may be called by several threads of its user"
            return _owns(group.api) if self._meant(a, group.api) and self._meant(b, group.api) else None
        if first.exclusive and first.lane == second.lane and second.exclusive:
            return None
        return None if first is second and self._apart(first, a, b) else first.why

    def _apart(self, entry: EntryPoint, a: Reached, b: Reached) -> bool:
        """Whether two runs of one entry point have an object each: their receivers, or what each was given."""
        owner = entry.target.owner
        if (
            entry.kept
            and owner is not None
            and any(self._of_owner(access, owner.name) or self._part_of(access, owner.name) for access in (a, b))
        ):
            return True
        own = self._on_own(entry, a) and self._on_own(entry, b)
        told = (self.handed.alone, self.handed.given, self.shares.given)
        return own or any(has(a) and has(b) for has in told)

    def _on_own(self, entry: EntryPoint, access: Reached) -> bool:
        """Whether an access is to the object that this run of its entry point alone has."""
        return entry.distinct_self and self.own(access)

    def _part_of(self, access: Reached, owner: str) -> bool:
        """Whether an access is to an instance of a class that only methods of ``owner`` make instances of."""
        base = access.touch.base
        if base is None or base.whole.kind != "inst":
            return False
        obj = base.whole
        makers = {fid for fid, _ in self.callers.get(f"{obj.name}.__init__", ())}
        classes = {self.symbols.functions[fid].cls for fid in makers}
        return bool(classes) and all(cls is not None and self._kin(cls, owner) for cls in classes)

    def _coroutine(self, entry: EntryPoint) -> bool:
        return self.symbols.functions[entry.target.name].facts.is_async

    def _meant(self, reached: Reached, owner: str) -> bool:
        """Whether a class or module that owns a lock means this place to be used by several threads."""
        return self._of_owner(reached, owner) and not self.dedicated.for_others(owner, reached.touch)

    def _of_owner(self, reached: Reached, owner: str) -> bool:
        """Whether a place belongs to the class or module ``owner``."""
        place = reached.touch.place
        if place[0] in ("k", "g") and (place[1] == owner or self._kin(str(place[1]), owner)):
            return True
        obj = reached.touch.base
        if obj is not None and obj.kind == "ext" and obj.owner is None and obj.site is not None:
            # A container made in the owner's class body or module body.
            return obj.site[0] in (f"{owner}.<body>", f"{owner}:<module>")
        while obj is not None:
            if obj.kind == "inst" and self._kin(obj.name, owner):
                return True
            obj = obj.owner
        return False

    def _kin(self, cid: str, owner: str) -> bool:
        return cid in self.symbols.classes and owner in self.symbols.classes and related(self.symbols, cid, owner)

    def own(self, reached: Reached) -> bool:
        """Whether an access is to the receiver of its own entry point, or to what belongs to it."""
        obj = reached.touch.base
        while obj is not None:
            target = reached.state.entry.target
            if obj.kind == "inst" and (
                (obj.site is not None and obj.site[0] == SELF_SITE)
                or (target.owner is not None and self._overrides(obj, target.owner))
            ):
                return True
            obj = obj.owner
        return False

    def _overrides(self, obj: Obj, receiver: Obj) -> bool:
        """Whether an object is the receiver, or what that is in a method which a subclass overrides."""
        if obj is receiver or receiver.kind != "inst" or obj.site != receiver.site or obj.owner is not receiver.owner:
            return obj is receiver
        return receiver.name in self.symbols.classes[obj.name].mro

    def _across(self, a: Reached, b: Reached) -> str | None:
        first, second = a.state.entry, b.state.entry
        if self.at_startup(a, b) or self.at_startup(b, a):
            return None
        if first.exclusive and second.exclusive and first.lane == second.lane and first.lane:
            return None
        if _one_of_them(first, second) or (
            _one_start(first, second) and self._on_own(first, a) and self._on_own(second, b)
        ):
            return None
        if self.choices.exclude(first.made_in, second.made_in) or self._other_programs(a, b):
            return None
        kinds = {first.kind, second.kind}
        if kinds in ({"main"}, {"signal"}) or (kinds <= {"event-loop", "main"} and self._one_thread(first, second)):
            # Tasks of one loop take turns; signal handlers all run in the main thread.
            return None
        if first.kind == "signal" and second.kind == "main":
            return None  # the main thread stands still until its handler returns
        if first.kind == "any" or second.kind == "any":
            return self._with_api(a, b)
        if self.before(a, second) or self.before(b, first):
            return None
        if kinds == {"event-loop"}:
            return "their event loops run in different threads"
        if kinds == {"event-loop", "main"}:
            return "the event loop runs in a thread of its own"
        if "event-loop" in kinds and self._same_thread(a, b):
            return None
        return reason(first, second)

    def _other_programs(self, a: Reached, b: Reached) -> bool:
        """Whether one is in a server that the project does not run itself, the other in what a program of it does."""
        return any(_hosted(one.state.entry) and self._of_program(other) for one, other in ((a, b), (b, a)))

    def _of_program(self, access: Reached) -> bool:
        """Whether an access is in the main thread of a program, or in what only such main threads start."""
        if access.group.main:
            state, event = access.state, access.touch.event
            while state.parent is not None:
                state, event = state.parent, state.event
            return access.group.application and self._not_imported((state.fid, event))
        begins = access.state.entry.begins
        return self._by_programs(begins, all) and all(self._not_imported(site) for site in begins)

    def _not_imported(self, site: Event) -> bool:
        """Whether an event is not one of those that are gone through when a module is imported."""
        facts = self.symbols.functions[site[0]].facts
        return facts.kind != "module" or main_guarded(facts, facts.events[site[1]].block)

    def _by_programs(self, sites: Iterable[Event], quantifier: Callable[[Iterable[bool]], bool]) -> bool:
        """Whether any or all of those who begin something, as far as they are known, are programs."""
        hosts = [self.groups[index] for site in sites for index in self.sites.get(site, ())]
        return bool(hosts) and quantifier(group.application for group in hosts)

    def at_startup(self, a: Reached, b: Reached) -> bool:
        """Whether ``a`` is in what runs before everything else, which has not started the context of ``b`` itself."""
        return a.state.entry.before_all and b.state.entry.begins.isdisjoint(a.started)

    def _with_api(self, a: Reached, b: Reached) -> str | None:
        api, other = (a, b) if a.state.entry.kind == "any" else (b, a)
        if other.state.entry.kind == "any":
            return None
        if api.group.api == LIBRARY:
            if other.group.main:
                return None
        elif other.state.entry.target.name not in self.api_threads.get(api.group.api, frozenset()):
            if self._has_lock(api.group.api) and other.state.entry.kind in ("thread", "pool"):
                if self._meant(api, api.group.api) and self._meant(other, api.group.api):
                    return _owns(api.group.api)
            return None
        if self.before(api, other.state.entry):
            return None
        return other.state.entry.why

    def _has_lock(self, owner: str) -> bool:
        """Whether a class or module has a lock for threads, so that others than those it starts are meant as well."""
        family = self.symbols.classes[owner].mro if owner in self.symbols.classes else (owner,)
        return any(parent in self.dedicated.locks for parent in family)

    def before(self, a: Reached, entry: EntryPoint) -> bool:
        """Whether the access surely happens before the entry point can run, or after it has ended."""
        told = self._starters[a.group.index, id(a.state.entry), a.started]
        seen: set[int] = set()
        found = self._before(a, entry, told, seen)
        if found:
            told.update(dict.fromkeys(seen, True))
        return found

    def _before(self, a: Reached, entry: EntryPoint, told: dict[int, bool], seen: set[int]) -> bool:
        """The same without the groups ``seen``; ``told``: of which groups it is known whether it is before them."""
        if not entry.begins and not entry.serves:
            # The framework calls it once the program runs: main-thread code that has started nothing comes earlier.
            return a.group.application and not a.started
        if self._over_before(a.state.entry, entry):
            return True
        if a.group.self_overlap and not a.group.api:
            return False
        for site in entry.begins | entry.serves:
            if self._waited_for(a, site):
                continue
            groups = self.sites.get(site)
            if not groups:
                if not a.group.main:
                    return False
                continue
            for index in groups:
                starter = self.groups[index]
                if index == a.group.index or self._one_interface(a.group, starter):
                    if site in a.started:
                        return False
                    continue
                if starter.main:
                    if self._program(a):
                        continue
                    return False
                # A circle of groups that start each other is begun by what is outside of it.
                if index in seen or index in told:
                    if told.get(index, True):
                        continue
                    return False
                if starter.api:
                    if a.group.api or not a.group.main:
                        return False
                    continue
                seen.add(index)
                if not all(self._before(a, other, told, seen) for other in starter.entries):
                    told[index] = False
                    return False
        return True

    def _one_interface(self, first: Group, second: Group) -> bool:
        """Whether two groups are public functions of related classes: users have an instance of one of them."""
        return bool(first.api) and bool(second.api) and self._kin(first.api, second.api)

    def _over_before(self, first: EntryPoint, entry: EntryPoint) -> bool:
        """Whether one function begins both, and has waited for the end of the first one by then."""
        if not first.begins or not entry.begins or (first.self_overlap and not first.perhaps):
            return False
        for fid, begin in first.begins:
            for where, later in entry.begins:
                if where != fid or not any(at == fid and begin < end < later for at, end in first.ends):
                    return False
        return True

    def _over_at_once(self, entry: EntryPoint) -> bool:
        """Whether whoever begins it waits for its end before going on."""
        functions = self.symbols.functions
        return bool(entry.begins) and all(
            site in entry.ends or over_beside(functions[site[0]].facts, site, entry.ends) for site in entry.begins
        )

    def _waited_for(self, a: Reached, site: Event) -> bool:
        """Whether a public function has waited for the end of what others began at a site."""
        return site in a.group.initially.get(a.state.entry.target.name, frozenset()) and site not in a.started

    def _program(self, a: Reached) -> bool:
        """Whether an access is in the main program itself: what it has not started runs in some other process."""
        return self.symbols.functions[a.state.entry.target.name].facts.kind == "module"

    def _one_thread(self, first: EntryPoint, second: EntryPoint) -> bool:
        """Whether two tasks, or a task and the main program, run in one thread as far as is known."""
        if first.kind == second.kind:
            return not self.loops.apart(first, second)
        return not self.loops.beside_main(first if first.kind == "event-loop" else second)

    def _same_thread(self, a: Reached, b: Reached) -> bool:
        """Whether a task was started by the very thread that runs the other side (its loop runs there)."""
        task, other = (a, b) if a.state.entry.kind == "event-loop" else (b, a)
        if other.group.index in (self.loops.threads(task.state.entry) or ()):
            return True
        hosts: set[int] = set()
        for site in task.state.entry.begins if not task.state.entry.foreign_loop else ():
            hosts |= self.sites.get(site, set())
        return other.group.index in hosts and other.state.entry.kind in ("thread", "main")

    def guess(self, a: Reached, b: Reached) -> int:
        """How much of a guess it is that two accesses that may be to one object are: 0, 1 or 2.

        Of some instance of a class nothing more is known than its class. That is enough where the program makes one,
        where it is the one that users call, and where the class has a lock or a thread and so means to be used by
        several contexts; of plain data, the more places make it, the less likely two accesses have the same in hand.
        """
        if any(self._of_factory(access) for access in (a, b)):
            return 2
        if a.group.api or b.group.api:
            return 0
        makers = max(self._makers(a.touch.base), self._makers(b.touch.base))
        return 0 if makers < SOME else 1 if makers <= MANY else 2

    def _of_factory(self, access: Reached) -> bool:
        """Whether an access is to the content of a project's own container that a function makes for very many."""
        base = access.touch.base
        if not access.touch.content or base is None or base.kind != "inst" or base.site is None:
            return False
        return len(self.callers.get(base.site[0], ())) > FACTORY

    def supposed(self, a: Reached, b: Reached) -> bool:
        """Whether two accesses meet only if users call what they are not seen to call from several threads.

        A lock that a class owns says so of all its public functions alike; and what the project calls itself is perhaps
        called by nobody else. A class that starts a thread leaves no such doubt about what only others can call. What
        only a public function starts, in one place, meets itself when users call that again while it runs. And of some
        entry points the context is not known.
        """
        first, second = a.state.entry, b.state.entry
        if "low" in (first.confidence, second.confidence) or (first is second and self._begun_by_users(first)):
            return True
        for api, other in ((a, b), (b, a)):
            if self._uncalled(api) and self._by_programs(other.state.entry.begins, any):
                return True
            if not api.group.api or api.group.api == LIBRARY:
                continue
            started = self.api_threads.get(api.group.api, frozenset())
            task = other.state.entry
            if api.group is other.group or task.target.name not in started or self._over_at_once(task):
                return True
            if self.callers.get(api.state.entry.target.name):
                return True
        return False

    def _uncalled(self, access: Reached) -> bool:
        """Whether an access is in a method that nobody calls: a program that has one may well never run it."""
        group = access.group
        return (group.main and not group.application) or bool(group.api and group.api != LIBRARY)

    def _begun_by_users(self, entry: EntryPoint) -> bool:
        """Whether an entry point that does not overlap itself otherwise is begun by public functions only."""
        hosts = [self.groups[index] for site in entry.begins for index in self.sites.get(site, ())]
        return not entry.self_overlap and bool(hosts) and all(group.api for group in hosts)

    def rooted(self, a: Reached, b: Reached) -> bool:
        """Whether something says that two accesses are to one object, more than that one line makes both."""
        return self.anchors.shared(a, b)

    def _makers(self, obj: Obj | None) -> int:
        """How many calls may have made an object whose origin is unknown; 0 when it is known."""
        obj = None if obj is None else obj.whole
        if obj is None or not obj.unknown or obj.kind not in ("inst", "opaque"):
            return 0
        # What an unknown object is, is what some instance has in the slot it is named after.
        cid = obj.name.partition("\0")[0]
        if cid not in self.symbols.classes or not self.active.isdisjoint(self.symbols.classes[cid].mro):
            return 0
        return self.made.get(cid, 0)

    def apart(self, a: Reached, b: Reached) -> bool:
        """Whether two accesses are to objects of different classes, made by different calls, or of other receivers."""
        return (
            self.receivers.apart(a, b)
            or self.anchors.confined(a)
            or self.anchors.confined(b)
            or self.alone.apart(a, b)
            or self.provenance.apart(a, b)
            or self.parts.apart(a, b)
        )

    def same_object(self, a: Reached, b: Reached) -> bool:
        """Whether two accesses to one place may be to the same object."""
        x, y = a.touch.base, b.touch.base
        if x is None or y is None:
            return not (a.touch.place[0] == "x" and _own_frame(a) and _own_frame(b))
        return self._alias(x, y)

    def _alias(self, x: Obj, y: Obj) -> bool:
        if x is y:
            return True
        if x.kind == "inst" and y.kind == "inst":
            if not related(self.symbols, x.name, y.name):
                return False
            special = any(o.site is not None and o.site[0] == SELF_SITE for o in (x, y))
            if not special and x.site is not None and y.site is not None and x.site != y.site:
                return False
        elif x.kind == "inst" or y.kind == "inst":
            # The slot of one object against the content of a container: the container in that object's slot.
            holder, content = (x, y) if x.kind == "inst" else (y, x)
            return content.owner is None or self._alias(holder, content.owner)
        elif x.kind != y.kind or not may_alias_site(x, y):
            return False
        if x.owner is None or y.owner is None:
            return True
        return self._alias(x.owner, y.owner)


def _hosted(entry: EntryPoint) -> bool:
    """Whether a server calls it that nothing in the project runs."""
    return bool(entry.server) and not entry.begins and not entry.serves


def _one_of_them(first: EntryPoint, second: EntryPoint) -> bool:
    """Whether one call starts one of two functions, which depends on the class of the object it is given."""
    return len(first.begins) == 1 and _one_start(first, second) and not (first.self_overlap or second.self_overlap)


def _one_start(first: EntryPoint, second: EntryPoint) -> bool:
    """Whether each start of two functions is of one or of the other."""
    same = first.begins == second.begins and (first.path, first.line) == (second.path, second.line)
    return same and first.once and second.once and first.row == second.row


def _own_frame(reached: Reached) -> bool:
    """Whether a captured variable is reached from within the call that has it: every call has its own."""
    owner = reached.touch.place[1]
    state: State | None = reached.state
    while state is not None:
        if state.fid == owner:
            return True
        state = state.parent
    return False


def _owns(owner: str) -> str:
    return f"{owner.replace(':', '.')} owns a lock, so it means to be used by several threads"


def may_alias_site(x: Obj, y: Obj) -> bool:
    """Whether two library objects may be one, by where they are made."""
    return x.name == y.name and (x.site is None or y.site is None or x.site == y.site or may_alias(x, y))


def reason(a: EntryPoint, b: EntryPoint) -> str:
    """The sentence shown to the user: why these two contexts run at the same time."""
    if a.kind == "main":
        return b.why
    if b.kind == "main" or a.why == b.why:
        return a.why
    return f"{a.why}; {b.why}"
