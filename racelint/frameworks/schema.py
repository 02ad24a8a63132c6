"""Framework tables: what makes code concurrent, what guards, how containers behave. Data, with a reason on each row.

The tables are TOML files beside this module; users add rows with the same schema in their configuration
(``[[tool.racelint.entry]]`` and so on). Every row carries ``why``, one sentence that is shown in reports.

Names are dotted names of what is called or subclassed, as imported from where they are documented; a method of an
instance is named after its class (``concurrent.futures.ThreadPoolExecutor.submit``). A trailing ``*`` matches any rest.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Any, Literal

import msgspec

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - exercised on 3.10 only
    import tomli as tomllib

ContextKind = Literal["main", "thread", "pool", "event-loop", "signal", "any", "process"]
EntryForm = Literal["decorator", "call", "base", "assign"]
SelfOverlap = Literal["yes", "no", "per-start", "per-call"]
Effect = Literal[
    "read",  # tolerant look-up: never raises when the key is gone (get, in, len)
    "item",  # intolerant look-up: d[k], l[i], index()
    "insert",  # may add an element
    "delete",  # removes an element, raises when it is gone
    "discard",  # removes an element, tolerates that it is gone
    "clear",  # removes every element
    "update",  # several elements at once
    "claim",  # atomic check-and-insert (setdefault)
    "view",  # live view or lazy iterator: iterating it iterates the container
    "self",  # the container under another name: what is done to the result is done to it
    "iterate",  # iterates in Python code, may be interrupted
    "snapshot",  # atomic copy
    "order",  # reorders in place (sort, reverse, move_to_end)
]


# What an access does to a slot, or to the content of a container.
Step = Literal["", "read", "rebind", "unbind", "look", "item", "insert", "delete", "update", "iterate"]


class Argument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which argument of a call is meant: by position (without ``self``) and/or keyword.

    Position -1 means every positional one, keyword ``*`` every keyword.
    """

    position: int | None = None
    keyword: str | None = None


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row that says no more than what its names are."""

    name: list[str]
    why: str
    source: str = ""


class Methods(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row that says no more than what calls (by dotted name) and methods (by bare name) are."""

    why: str
    name: list[str] = []
    methods: list[str] = []
    source: str = ""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that makes project functions run concurrently.

    ``form``: ``decorator`` (the decorated function is the entry), ``call`` (the ``function`` argument is; with
    ``methods``, these methods of it are), ``base`` (methods of subclasses matching ``methods`` are), ``assign`` (a
    function assigned to one of ``attributes`` of an instance of ``name`` is). ``when`` / ``unless``: only with / not
    with one of these keyword arguments, written as these constants (``*``: whatever is given).
    ``context`` is where it runs when it is a plain ``def``, ``async_context`` when it is ``async def``.
    ``self_overlap``: ``yes`` when two calls may run at once, ``no`` when calls are serialised, ``per-start`` when one
    registration runs once (it overlaps itself only when the registration itself is repeated), ``per-call`` when each
    call runs the function once and such calls are made again and again (``submit``).
    ``begins``: ``call`` when it may run from the moment of the call, or the method names that start it (``start``);
    with ``begun`` there is no entry when the program calls none of them.
    ``joins``: methods of the result (or of the receiver) after which it has ended; ``call``: the call itself waits.
    ``fresh_self``: the framework makes a new instance per call, so ``self`` is not shared.
    ``gives``: the types of what the function is called with, in this order (of a method: after ``self``).
    ``serialised_by``: parameter names that identify the object whose events are serialised, e.g. [["uid"]];
    ``one_run_for``: the same, where only the runs of one and the same function for an object are.
    ``lane``: entries of one lane and one context share a pool or loop; entries in lanes with equal name and
    ``exclusive`` never overlap each other.
    ``server``: the kind of server that calls it, as in ``Serve``; when the program is seen to run such a server, it is
    called from then on.
    ``callers_loop``: it is run by the event loop of the thread that makes the call, or that runs the server.
    ``foreign_loop``: it is run by an event loop in another thread than the caller's.
    ``green``: it gives way to others at calls that block (see ``Blocking``), and not at ``await``.
    ``before_all``: runs before every other entry of the same framework, but for those that it starts itself.
    ``loose``: also match a method of this name on a receiver of unknown type when the argument is a project function;
    ``vague``: other libraries use that name too, so that nothing sure follows.
    ``executor``: the argument that is the pool whose threads run it, where that is not the receiver.
    ``in_loop``: those of ``methods`` that are called in an event loop, which the thread runs: they may use its objects.
    ``iterable``: the function argument may be a list of functions. ``expect`` / ``reject``: names that the row must and
    must not match, checked by a test. ``source``: where the claim comes from.
    """

    form: EntryForm
    name: list[str]
    context: ContextKind
    why: str
    function: Argument | None = None
    when: dict[str, str] = {}
    unless: dict[str, str] = {}
    methods: list[str] = []
    in_loop: list[str] = []
    attributes: list[str] = []
    async_context: ContextKind = "event-loop"
    self_overlap: SelfOverlap = "per-start"
    begins: list[str] = []
    begun: bool = False
    joins: list[str] = []
    fresh_self: bool = False
    gives: list[str] = []
    serialised_by: list[list[str]] = []
    one_run_for: list[list[str]] = []
    lane: str = ""
    exclusive: bool = False
    callers_loop: bool = False
    foreign_loop: bool = False
    green: bool = False
    before_all: bool = False
    server: str = ""
    executor: Argument | None = None
    loose: bool = False
    vague: bool = False
    iterable: bool = False
    expect: list[str] = []
    reject: list[str] = []
    source: str = ""


class Guard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A type (or a factory of it) whose instances exclude each other's holders.

    ``threads``: excludes threads; ``tasks``: excludes tasks of one loop. ``reentrant`` as RLock: it lets in whoever
    runs in the thread of its holder, so it excludes tasks only where ``tasks`` says so. ``wraps``: the argument that is
    the real lock (``Condition(lock)``). ``mutex_when``: the argument must equal 1 (or be absent) for it to be a mutex.
    ``process_only``: excludes other processes and nobody in this one, ``process_only_when``: with this keyword argument
    and constant. ``keyed_by``: the argument that says which lock it is, for the whole process, among all rows of one
    ``family`` (by default each row is one).
    ``read_side`` / ``write_side``: methods that return the reader's or writer's half of a readers-writer lock.
    ``holds``: dotted context-manager or decorator names that hold the lock given as argument.
    """

    name: list[str]
    why: str
    threads: bool = True
    tasks: bool = False
    reentrant: bool = False
    wraps: Argument | None = None
    mutex_when: Argument | None = None
    acquire: tuple[str, ...] = ("acquire",)
    release: tuple[str, ...] = ("release",)
    acquire_read: list[str] = []
    release_read: list[str] = []
    read_side: list[str] = []
    write_side: list[str] = []
    process_only: bool = False
    process_only_when: dict[str, str] = {}
    keyed_by: Argument | None = None
    family: str = ""
    source: str = ""


class GuardDecorator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A decorator that holds a lock around each call of the decorated function.

    ``attribute``: it uses this attribute of ``self``; ``lock``: the argument that is the lock, or its name on ``self``;
    ``per_instance``: it makes one lock per instance for all methods it decorates, and one for each other function;
    ``keyed_by`` and ``family`` as in ``Guard``; ``reading``: it holds the reader's half only. ``threads`` false: it
    looks like a lock around the function and keeps no thread out of it (when ``lock`` is given, if that is said).
    """

    name: list[str]
    why: str
    attribute: str = ""
    lock: Argument | None = None
    per_instance: bool = False
    keyed_by: Argument | None = None
    family: str = ""
    reading: bool = False
    reentrant: bool = True
    threads: bool = True
    source: str = ""


class Container(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mutable container type: the effect of each method, and whether single operations are atomic.

    ``atomic`` false: the operations are Python code, so one unguarded write beside another access is an error.
    ``safe``: the type locks itself; its single operations are never reported. ``ordered``: a sequence (iterating it
    while it changes skips elements but does not raise). ``factory``: the argument that makes missing elements
    (``defaultdict(list)``). ``safe_methods``: single operations that are never reported (deque ends).
    """

    name: list[str]
    why: str
    methods: dict[str, Effect] = {}
    atomic: bool = True
    safe: bool = False
    sequence: bool = False
    mapping: bool = False
    factory: Argument | None = None
    safe_methods: list[str] = []
    snapshot_safe: bool = True
    source: str = ""


class Consumer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function that walks the containers it is given: ``iterate`` (may be interrupted) or ``snapshot`` (atomic).

    ``unless_keyword`` / ``if_keyword``: the effect holds only without / with that keyword (``json.dumps(indent=)``).
    ``deep``: nested containers are walked as well, ``fields``: also what is in attributes of objects. ``counts``: it
    only asks how many elements there are, so it is one step for containers whose copies are not
    (``Container.snapshot_safe``).
    """

    name: list[str]
    effect: Effect
    why: str
    if_keyword: list[str] = []
    unless_keyword: list[str] = []
    deep: bool = False
    fields: bool = False
    counts: bool = False
    source: str = ""


class Operation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something Python code does to what is shared, and whether CPython does it in one step.

    ``name``: how it is written. ``access``: the kind of access that the front end calls it (``model.facts``), and
    ``effect`` what that does to a slot or to the content of a container; the first row of an access counts.
    ``beside``: what breaks it, in another thread (by default it does itself); ``rule`` what is reported then, where it
    is not ``atomic``; without one nothing is. ``tasks``: between tasks of one loop. ``free_threaded``: what is known of
    the build without the GIL.
    """

    name: list[str]
    atomic: bool
    why: str
    access: str = ""
    effect: Step = ""
    beside: str = ""
    rule: str = ""
    tasks: bool = False
    free_threaded: str = ""
    source: str = ""


class Calls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call that runs a function it is given, in the same thread, before it returns (``map``, ``sorted(key=)``).

    ``arguments`` and ``keywords``: where the tuple and the dictionary are that it passes on to the function. Without
    them the function gets elements of the other arguments.
    """

    name: list[str]
    function: Argument
    why: str
    arguments: Argument | None = None
    keywords: Argument | None = None
    source: str = ""


class Protocol(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function that calls a ``method`` of what it is given first: ``len(x)`` calls ``x.__len__()``."""

    name: list[str]
    method: str
    why: str
    source: str = ""


class Hook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A method of a library class that calls other ``methods`` of its object, which classes of a project override."""

    name: list[str]
    methods: list[str]
    why: str
    source: str = ""


class Injection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A type that makes instances of a class it is given, and tells each of them who made it, in ``attribute``."""

    name: list[str]
    function: Argument
    attribute: str
    why: str
    source: str = ""


class Waiter(Named, frozen=True):
    """A call whose result, once awaited, says that all tasks and futures it was given have ended."""


class Latch(Named, frozen=True):
    """A call that returns, when it is given no time limit, once another thread has said that it may go on."""


class Patch(Named, frozen=True):
    """A call that turns the threads of a program into green ones, when a module makes it while it is imported."""


class Blocking(Named, frozen=True):
    """Calls that wait for something, so that another green thread has its turn. A name may end in ``.*``."""


class Polled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Functions that are called where calls named in ``runs`` are made: in the thread of these, before they return.

    ``name``: the calls that register one (their ``function`` argument), or the bases whose ``methods`` are meant.
    ``holds``: a lock that is held around such a method, by the name of the attribute of ``self``; ``taken_by``: methods
    of the object that take it, until its ``release``.
    """

    name: list[str]
    runs: list[str]
    why: str
    function: Argument | None = None
    methods: list[str] = []
    holds: str = ""
    taken_by: list[str] = []
    source: str = ""


class Result_(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an external call or attribute returns: an instance of ``type``, or the argument ``same_as``."""

    name: list[str]
    why: str = ""
    type: str = ""
    same_as: Argument | None = None
    factory: Argument | None = None
    element_of: str = ""


class Carrier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A type whose instance the program fills once, for code that a framework calls and that finds it again.

    ``found``: the attributes it is found in (``aiohttp.web.Request.app``). What is put into one is found there.
    ``takers``: decorators of functions that get it under ``keyword``. What they put into it themselves is there for the
    object that they were called for, unless they run before all others: that is for everybody.
    """

    name: list[str]
    why: str
    found: list[str] = []
    takers: list[str] = []
    keyword: str = ""
    source: str = ""


class LoopBound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A type whose instances belong to an event loop, or a function that acts on the running one; names are exact.

    ``methods``: plain methods that must be called in the loop's thread; for a function, its own name. ``awaited``:
    methods that coroutines of the loop use it by. ``safe``: methods other threads may call. ``runs``: methods that run
    the loop in the calling thread. ``instead``: what another thread does, with ``{call}`` for the call.
    """

    name: list[str]
    why: str
    methods: list[str] = []
    awaited: list[str] = []
    safe: list[str] = []
    runs: list[str] = []
    instead: str = "loop.call_soon_threadsafe({call})"
    source: str = ""


class Value(Methods, frozen=True):
    """Calls (by dotted name) and methods (by bare name) that return plain values, which may be computed twice."""


class Report(Methods, frozen=True):
    """Calls (by dotted name) and methods (by bare name) that only tell somebody something: twice is a line too many."""


class Stateless(Named, frozen=True):
    """Base classes that give an instance no state of its own: one without attributes is as good as another."""


class Unique(Named, frozen=True):
    """Calls that give another value each time: nobody else has it until whoever made it has put it somewhere."""


class Confined(Named, frozen=True):
    """A type whose instances (or whose attributes) are never shared between contexts (``threading.local``)."""


class ThreadIdentity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call that says which thread runs (``current``), or which one is the main thread, by object or by number.

    Others say which event loop runs (``loop``), or which task or greenlet does (``task``).
    """

    name: list[str]
    who: Literal["current", "main", "loop", "task"]
    why: str
    source: str = ""


class Serve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call that runs a ``server`` and returns when that has ended: it calls the entry points of that kind.

    ``background``: it returns at once, and the event loop of its caller goes on to run the server. ``one_by_one``: it
    handles a request to its end before the next one. ``when`` / ``unless`` as in ``Entry``.
    """

    name: list[str]
    server: str
    why: str
    background: bool = False
    one_by_one: bool = False
    when: dict[str, str] = {}
    unless: dict[str, str] = {}
    source: str = ""


class Manner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call by which a program says how the entry points of a ``lane`` are called: at once, or one after the other.

    It says so when it is given the ``argument`` as one of ``constants`` (without these: as anything), and as none of
    ``unless``, written as in the source; without an argument ``name`` is an attribute that is set to one of them.
    ``context``: only entry points of this kind are meant. ``self_overlap`` and ``exclusive``: what then holds, as in
    ``Entry``.
    """

    name: list[str]
    lane: str
    self_overlap: Literal["yes", "no"]
    why: str
    argument: Argument | None = None
    context: ContextKind | None = None
    constants: list[str] = []
    unless: list[str] = []
    exclusive: bool = False
    source: str = ""


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A server class that makes instances of a handler class it is given: how it calls them, whatever their base says.

    Of several rows that name bases of one server class, the first one counts.
    """

    name: list[str]
    context: ContextKind
    self_overlap: SelfOverlap
    why: str
    source: str = ""


class Fed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A container that a framework makes, hands to handlers as an argument, and changes itself, whoever has it.

    ``name``: decorators of the functions that say what goes into it; it is handed over under such a function's name, or
    under what the argument ``id`` of the decorator says. ``takers``: decorators of the functions that get it.
    ``type``: what it is, and ``values`` what it holds when that is changed as well (``Container`` rows say how they
    behave). ``context``: where the framework changes it, in the ways of ``changes``; ``server`` as in ``Entry``.
    ``instead``: what to do about a loop over it, since no lock keeps the framework out.
    """

    name: list[str]
    takers: list[str]
    type: str
    context: Literal["thread", "pool", "event-loop"]
    changes: list[Literal["insert", "delete", "discard", "clear", "update", "claim", "order"]]
    why: str
    instead: str
    id: Argument | None = None
    values: str = ""
    server: str = ""
    source: str = ""


class Tables(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All rows of one TOML file, or of all of them together."""

    entry: list[Entry] = []
    guard: list[Guard] = []
    guard_decorator: list[GuardDecorator] = []
    container: list[Container] = []
    consumer: list[Consumer] = []
    operation: list[Operation] = []
    calls: list[Calls] = []
    protocol: list[Protocol] = []
    hook: list[Hook] = []
    polled: list[Polled] = []
    waiter: list[Waiter] = []
    latch: list[Latch] = []
    patch: list[Patch] = []
    blocking: list[Blocking] = []
    injection: list[Injection] = []
    result: list[Result_] = []
    unique: list[Unique] = []
    confined: list[Confined] = []
    value: list[Value] = []
    report: list[Report] = []
    stateless: list[Stateless] = []
    serve: list[Serve] = []
    manner: list[Manner] = []
    carrier: list[Carrier] = []
    host: list[Host] = []
    thread_identity: list[ThreadIdentity] = []
    fed: list[Fed] = []
    loop_bound: list[LoopBound] = []


class TableError(ValueError):
    """A table that does not follow the schema; the message names the file and the row."""


def parse(data: Mapping[str, Any], origin: str) -> Tables:
    """Rows from parsed TOML. Raises TableError naming ``origin`` and the offending key."""
    try:
        return msgspec.convert(dict(data), Tables)
    except msgspec.ValidationError as error:
        raise TableError(f"{origin}: {error}") from None


def merge(tables: Iterable[Tables]) -> Tables:
    """All rows together; earlier tables win when names are equal."""
    parts = list(tables)
    return Tables(**{name: [row for part in parts for row in getattr(part, name)] for name in Tables.__struct_fields__})


@cache
def builtin_files() -> Mapping[str, Tables]:
    """The tables shipped with racelint by the names of their files without ``.toml``, in their order."""
    found = {}
    for item in sorted(resources.files(__package__).iterdir(), key=lambda entry: entry.name):
        if item.name.endswith(".toml"):
            found[item.name.removesuffix(".toml")] = parse(tomllib.loads(item.read_text("utf-8")), item.name)
    return found


@cache
def builtin() -> Tables:
    """The tables shipped with racelint, in file-name order."""
    return merge(builtin_files().values())


@cache
def _origins() -> Mapping[int, str]:
    return {id(row): file for file, tables in builtin_files().items() for row in tables.entry}


def table_of(row: Entry) -> str:
    """The file a row of ``entry`` is in, without ``.toml``; ``configuration`` for those of users."""
    return _origins().get(id(row), "configuration")


@dataclass(frozen=True, slots=True)
class Matcher:
    """Rows by dotted name: exact names by dictionary, patterns one after the other."""

    exact: Mapping[str, tuple[Any, ...]]
    patterns: tuple[tuple[str, Any], ...]
    # Answers given: a program says few names very often.
    known: dict[str, tuple[Any, ...]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, rows: Iterable[Any]) -> Matcher:
        """Index rows by their ``name`` lists."""
        exact: dict[str, tuple[Any, ...]] = {}
        patterns: list[tuple[str, Any]] = []
        for row in rows:
            for name in row.name:
                if "*" in name:
                    patterns.append((name, row))
                else:
                    exact[name] = (*exact.get(name, ()), row)
        return cls(exact, tuple(patterns))

    def all(self, dotted: str) -> tuple[Any, ...]:
        """Every row that names ``dotted``, exact ones first."""
        found = self.known.get(dotted)
        if found is None:
            matching = tuple(row for name, row in self.patterns if fnmatchcase(dotted, name))
            found = self.known[dotted] = self.exact.get(dotted, ()) + matching
        return found

    def first(self, dotted: str) -> Any | None:
        """The first row that names ``dotted``, or None."""
        found = self.known.get(dotted)
        if found is None:
            found = self.all(dotted)
        return found[0] if found else None
