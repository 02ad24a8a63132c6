"""The graph of an analysed program: which ways lead from its entry points to some of its places.

The calls are those of the shortest way from each entry point to each function that touches a place: the way the
analysis went, or, where it met what it had seen before and stopped, the shortest in the call graph. Of calls that may
go to many functions only those are drawn that the analysis went itself.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from racelint.analysis.effects import MUTATING
from racelint.analysis.program import Program
from racelint.analysis.starts import FEW
from racelint.analysis.walk import Reached, State
from racelint.contexts.entry_points import EntryPoint
from racelint.graph.model import Access, Call, Entry, Function, Graph, Place, Race
from racelint.link.symbols import FunctionInfo
from racelint.model.findings import Finding, Side
from racelint.rules.phrasing import ACCESS

# One call of a way: the function that calls, and the line.
Step = tuple[str, int]
# A node while the graph is drawn: an entry point (function and kind of context), or a function that is called.
EntryKey = tuple[str, str]
Node = EntryKey | str
# What is one access edge: where from, which place, under which locks, in which races.
EdgeKey = tuple[Node, str, tuple[str, ...], tuple[str, ...]]


def accesses(program: Program) -> list[Reached]:
    """What is reached, without what only defines a variable: a module or class body before anything is started."""
    functions = program.world.symbols.functions
    return [
        access
        for access in program.reached
        if access.touch.effect != "rebind"
        or access.started
        or functions[access.touch.fid].facts.kind not in ("module", "class")
    ]


def all_places(program: Program) -> frozenset[str]:
    """Every place that is reached from an entry point and may be seen by others."""
    return frozenset(access.touch.name for access in accesses(program))


def shared_places(program: Program) -> frozenset[str]:
    """The places that two runs reach (of two groups, or of one that overlaps itself) and that one of them changes."""
    groups: dict[str, set[int]] = defaultdict(set)
    changed: dict[str, bool] = defaultdict(bool)
    crowded: set[str] = set()
    for access in accesses(program):
        name = access.touch.name
        groups[name].add(access.group.index)
        changed[name] |= access.touch.effect in MUTATING
        if access.group.self_overlap:
            crowded.add(name)
    return frozenset(name for name in groups if changed[name] and (name in crowded or len(groups[name]) > 1))


def entry_names(program: Program) -> frozenset[str]:
    """The functions of all entry points, as they are shown."""
    functions = program.world.symbols.functions
    return frozenset(functions[entry.target.name].display for group in program.groups for entry in group.entries)


def places_in(program: Program, places: Collection[str], is_inside: Callable[[str], bool]) -> frozenset[str]:
    """Those of ``places`` that some code touches in a file of which ``is_inside`` is true."""
    functions = program.world.symbols.functions
    names = (access.touch.name for access in accesses(program) if is_inside(functions[access.touch.fid].path))
    return frozenset(names).intersection(places)


def build(program: Program, findings: Iterable[Finding], places: Collection[str]) -> Graph:
    """The part of a program that is about ``places``, with the races among ``findings`` marked."""
    by_place: dict[str, list[Finding]] = {name: [] for name in sorted(places)}
    for finding in findings:
        if finding.place in by_place:
            by_place[finding.place].append(finding)
    functions = program.world.symbols.functions
    touched = _touched(functions, accesses(program), by_place)
    ways = _Ways(program, touched)
    return _numbered(functions, ways, _edges(functions, ways, touched, by_place), by_place)


# -- which accesses ----------------------------------------------------------------------------------------------------


def _touched(
    functions: dict[str, FunctionInfo], reached: Sequence[Reached], by_place: dict[str, list[Finding]]
) -> dict[str, list[Reached]]:
    """The accesses to each place, with those that findings say are to the same container under another name."""
    found: dict[str, list[Reached]] = {name: [] for name in by_place}
    for access in reached:
        if access.touch.name in found:
            found[access.touch.name].append(access)
    for name, findings in by_place.items():
        sides = [side for finding in findings for side in finding.sides]
        lost = [side for side in sides if not any(_stands_at(functions, access, side) for access in found[name])]
        if lost:
            cells = {access.touch.place for access in found[name]}
            found[name].extend(
                access
                for access in reached
                if access.touch.name != name
                and access.touch.place in cells
                and any(_stands_at(functions, access, side) for side in lost)
            )
    return found


def _stands_at(functions: dict[str, FunctionInfo], access: Reached, side: Side) -> bool:
    inside = side.line <= access.touch.line <= side.end_line
    return inside and functions[access.touch.fid].display == side.function


def _locks(access: Reached) -> tuple[str, ...]:
    return tuple(sorted({lock.name for lock in access.locks}))


def _racing(
    functions: dict[str, FunctionInfo], touching: Sequence[Reached], findings: Sequence[Finding]
) -> dict[int, set[str]]:
    """The accesses (by their position) that are sides of findings, with the fingerprints of these.

    Where a line is reached under several sets of locks, those count that the finding names.
    """
    found: dict[int, set[str]] = defaultdict(set)
    for finding in findings:
        for side in finding.sides:
            by_line: dict[int, list[int]] = defaultdict(list)
            for index, access in enumerate(touching):
                if _stands_at(functions, access, side):
                    by_line[access.touch.line].append(index)
            for indexes in by_line.values():
                named = [index for index in indexes if _locks(touching[index]) == tuple(sorted(side.locks))]
                for index in named or indexes:
                    found[index].add(finding.fingerprint)
    return found


# -- which ways --------------------------------------------------------------------------------------------------------


class _Ways:
    """The entry points, and the calls from them to the functions that touch something.

    ``calls`` has the line of the first call from one node to a function, ``starts`` the entry points whose own
    function touches something.
    """

    def __init__(self, program: Program, touched: dict[str, list[Reached]]) -> None:
        self.functions = program.world.symbols.functions
        self.call_graph = program.graph
        self.entries: dict[EntryKey, EntryPoint] = {}
        self.calls: dict[tuple[Node, str], int] = {}
        self.starts: dict[str, set[EntryKey]] = defaultdict(set)
        goals: dict[int, set[str]] = defaultdict(set)
        walked: set[tuple[EntryKey, str]] = set()
        for access in (access for touching in touched.values() for access in touching):
            goals[access.group.index].add(access.touch.fid)
            for state in _states(access):
                key = self._entry(state.entry)
                if (key, state.fid) not in walked:
                    walked.add((key, state.fid))
                    self._add(key, self._trace(state), state.fid)
        for group in program.groups:
            for entry in group.entries if goals[group.index] else ():
                left = {fid for fid in goals[group.index] if (_key(entry), fid) not in walked}
                for way, fid in self._shortest(entry.target.name, left):
                    walked.add((_key(entry), fid))
                    self._add(self._entry(entry), way, fid)
        self.called = frozenset(target for _, target in self.calls)

    def _entry(self, entry: EntryPoint) -> EntryKey:
        """The key of an entry point; of several with one function and kind of context, the first is shown."""
        key = _key(entry)
        known = self.entries.get(key)
        if known is None or _rank(entry) < _rank(known):
            self.entries[key] = entry
        return key

    def _trace(self, state: State) -> tuple[Step, ...]:
        steps: list[Step] = []
        while state.parent is not None:
            steps.append((state.parent.fid, self.functions[state.parent.fid].facts.events[state.event].line))
            state = state.parent
        return tuple(reversed(steps))

    def _add(self, entry: EntryKey, way: Sequence[Step], goal: str) -> None:
        if not way:
            self.starts[goal].add(entry)
            return
        source: Node = entry
        for (_, line), target in zip(way, [*(fid for fid, _ in way[1:]), goal], strict=True):
            self.calls[source, target] = min(line, self.calls.get((source, target), line))
            source = target

    def _shortest(self, start: str, goals: set[str]) -> Iterator[tuple[tuple[Step, ...], str]]:
        """The shortest ways from a function to others, over calls that go to few functions."""
        before: dict[str, Step | None] = {start: None}
        todo = deque([start])
        left = set(goals)
        while todo and left:
            fid = todo.popleft()
            if fid in left:
                left.discard(fid)
                yield _chain(fid, before), fid
            for target, line in self._likely(fid):
                if target not in before:
                    before[target] = (fid, line)
                    todo.append(target)

    def _likely(self, fid: str) -> list[Step]:
        by_event: dict[int, list[Step]] = defaultdict(list)
        for _, target, data in self.call_graph.out_edges(fid, data=True):
            by_event[data["event"]].append((target, data["line"]))
        first: dict[str, int] = {}
        for targets in by_event.values():
            for target, line in targets if len(targets) <= FEW else ():
                first[target] = min(line, first.get(target, line))
        return sorted(first.items())


def _states(access: Reached) -> tuple[State, ...]:
    """The ways an access is known to be reached on."""
    return (access.state,) if access.other is None else (access.state, access.other)


def _key(entry: EntryPoint) -> EntryKey:
    return (entry.target.name, entry.kind)


def _rank(entry: EntryPoint) -> tuple[str, int, str]:
    return (entry.path, entry.line, entry.why)


def _chain(goal: str, before: dict[str, Step | None]) -> tuple[Step, ...]:
    steps: list[Step] = []
    step = before[goal]
    while step is not None:
        steps.append(step)
        step = before[step[0]]
    return tuple(reversed(steps))


# -- access edges ------------------------------------------------------------------------------------------------------


def _edges(
    functions: dict[str, FunctionInfo],
    ways: _Ways,
    touched: dict[str, list[Reached]],
    by_place: dict[str, list[Finding]],
) -> dict[EdgeKey, list[Reached]]:
    """The accesses of each edge."""
    found: dict[EdgeKey, list[Reached]] = defaultdict(list)
    for place, touching in touched.items():
        racing = _racing(functions, touching, by_place[place])
        content = {(access.touch.fid, access.touch.line) for access in touching if access.touch.content}
        # A function may be an entry point and be called as well; its two nodes have what is reached on their own ways.
        own = {
            (access.touch.fid, access.touch.event, not state.depth) for access in touching for state in _states(access)
        }
        for index, access in enumerate(touching):
            fid, event = access.touch.fid, access.touch.event
            if access.touch.effect == "read" and (fid, access.touch.line) in content:
                continue  # to look into a container its variable is read: to say so once is enough
            begins = {not state.depth for state in _states(access)}
            nodes: list[Node] = []
            if True in begins or (fid, event, True) not in own:
                nodes.extend(ways.starts[fid])
            if fid in ways.called and (False in begins or (fid, event, False) not in own):
                nodes.append(fid)
            for node in nodes:
                found[node, place, _locks(access), tuple(sorted(racing.get(index, ())))].append(access)
    return found


# -- numbers for nodes -------------------------------------------------------------------------------------------------


def _numbered(
    functions: dict[str, FunctionInfo],
    ways: _Ways,
    edges: dict[EdgeKey, list[Reached]],
    by_place: dict[str, list[Finding]],
) -> Graph:
    """The graph, its nodes in order of their names and its edges in order of the nodes."""
    entries = sorted(ways.entries, key=lambda key: (functions[key[0]].display, key))
    called = sorted(ways.called, key=lambda fid: (functions[fid].display, fid))
    nodes: list[Node] = [*entries, *called]
    order = {node: number for number, node in enumerate(nodes)}
    ids: dict[Node, str] = {key: f"e{number}" for number, key in enumerate(entries, start=1)}
    ids.update((fid, f"f{number}") for number, fid in enumerate(called, start=1))
    places = {name: f"p{number}" for number, name in enumerate(by_place, start=1)}

    def info(node: Node) -> FunctionInfo:
        return functions[node if isinstance(node, str) else node[0]]

    def as_entry(key: EntryKey) -> Entry:
        entry = ways.entries[key]
        return Entry(ids[key], info(key).display, entry.kind, entry.self_overlap, entry.path, entry.line, entry.why)

    def as_access(key: EdgeKey) -> Access:
        node, place, locks, races = key
        kinds = sorted({ACCESS[access.touch.effect] for access in edges[key]})
        lines = sorted({access.touch.line for access in edges[key]})
        return Access(ids[node], places[place], tuple(kinds), locks, info(node).path, tuple(lines), races)

    return Graph(
        entries=tuple(as_entry(key) for key in entries),
        functions=tuple(Function(ids[fid], info(fid).display, info(fid).path, info(fid).facts.line) for fid in called),
        places=tuple(Place(identity, name) for name, identity in places.items()),
        calls=tuple(
            Call(ids[source], ids[target], info(source).path, ways.calls[source, target])
            for source, target in sorted(ways.calls, key=lambda ends: (order[ends[0]], order[ends[1]]))
        ),
        accesses=tuple(as_access(key) for key in sorted(edges, key=lambda key: (key[1], order[key[0]], *key[2:]))),
        races=tuple(
            Race(race.fingerprint, race.rule, race.code, race.severity, race.confidence, places[name], race.message)
            for name, findings in by_place.items()
            for race in findings
        ),
    )
