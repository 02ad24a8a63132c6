"""``racelint why``: everything known about one place, gathered from the analysed program and its findings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from racelint import select
from racelint.analysis.effects import MUTATING
from racelint.analysis.guards import Guards
from racelint.analysis.program import Program
from racelint.analysis.verdicts import KINDS, Record, Verdict, Verdicts
from racelint.analysis.walk import Reached, State
from racelint.config import Settings
from racelint.link.world import World
from racelint.model.explanation import Declared, Explanation, Guard, Location, Silence, Told, Touched
from racelint.model.findings import CONFIDENCES, Context, Finding, Result
from racelint.rules.phrasing import ACCESS


def places(program: Program) -> frozenset[str]:
    """The names of every variable of a module and every attribute, and of whatever else is known to be shared."""
    reached = {access.touch.name for access in program.reached}
    contracts = {*program.contracts.guarded, *program.contracts.confined}
    return frozenset({*reached, *contracts, *_defined(program.world)})


def _defined(world: World) -> Iterator[str]:
    for name, module in world.symbols.modules.items():
        yield from (f"{name}.{variable}" for variable in module.variables)
    for cid, info in world.symbols.classes.items():
        for attribute in {*info.own_attrs, *info.class_attrs, *(name for name, _ in info.facts.annotations)}:
            if world.method(cid, attribute) is None:
                home = world.home(cid, attribute)[0]
                yield f"{world.class_of(home).display}.{attribute}"


def explain(program: Program, result: Result, settings: Settings, record: Record, place: str) -> Explanation:
    """What is known about ``place``, one of ``places``."""
    concurrent = [access for access in program.reached if access.touch.name == place]
    sites = {(access.touch.fid, access.touch.line) for access in concurrent}
    others = [a for a in program.survey({place}) if (a.touch.fid, a.touch.line) not in sites]
    findings = tuple(Told(finding, _hidden(finding, settings)) for finding in result.findings if finding.place == place)
    accesses = _accesses(program, concurrent, others)
    declared = _declared(program, place)
    silences = (
        () if declared is not None and declared.kind == "confined" else _silences(program, record, concurrent, findings)
    )
    guard = _guard(program, concurrent or others, accesses)
    summary = tuple(_summary(program, declared, concurrent, others, findings, silences))
    return Explanation(place, summary, declared, guard, accesses, findings, silences)


def _hidden(finding: Finding, settings: Settings) -> str:
    if finding.suppressed is not None:
        return f"silenced by a comment: {finding.suppressed}"
    if not select.is_selected(finding, settings):
        return f"the configuration leaves out {finding.rule} here"
    if not select.at_least(finding.confidence, settings.min_confidence, CONFIDENCES):
        return f"confidence {finding.confidence} is below --min-confidence {settings.min_confidence}"
    if not select.is_grave(finding, settings):
        return f"severity {finding.severity} is below --min-severity {settings.min_severity}"
    return ""


def _declared(program: Program, place: str) -> Declared | None:
    contract = program.contracts.of(place)
    if contract is None:
        return None
    lock = contract.named.lock.name if contract.named is not None else ""
    return Declared(contract.kind, lock, contract.path, contract.line)


# -- accesses ----------------------------------------------------------------------------------------------------------


def _accesses(program: Program, concurrent: Iterable[Reached], others: Iterable[Reached]) -> tuple[Touched, ...]:
    """A row for each line, in order of files and lines."""
    rows: dict[tuple[str, int, str], list[tuple[Reached, bool]]] = defaultdict(list)
    functions = program.world.symbols.functions
    for found, beside in ((concurrent, True), (others, False)):
        for access in found:
            info = functions[access.touch.fid]
            rows[info.path, access.touch.line, info.id].append((access, beside))
    return tuple(_row(program, *where, ways) for where, ways in sorted(rows.items()))


def _row(program: Program, path: str, line: int, fid: str, ways: list[tuple[Reached, bool]]) -> Touched:
    info = program.world.symbols.functions[fid]
    held = [{lock.name for lock in way.locks} for way, _ in ways]
    always = set.intersection(*held)
    content = [way for way, _ in ways if way.touch.content] or [way for way, _ in ways]
    contexts = {
        _context(program, state)
        for way, beside in ways
        if beside
        for state in (way.state, way.other)
        if state is not None
    }
    return Touched(
        path,
        line,
        info.display,
        tuple(sorted({ACCESS[way.touch.effect] for way in content})),
        tuple(sorted(always)),
        tuple(sorted(set.union(*held) - always)),
        tuple(sorted(contexts, key=lambda context: (context.path, context.line, context.entry, context.kind))),
        info.facts.kind == "module",
    )


def _context(program: Program, state: State) -> Context:
    entry = state.entry
    return Context(
        program.world.symbols.functions[entry.target.name].display, entry.kind, entry.path, entry.line, entry.why
    )


def _guard(program: Program, reached: list[Reached], accesses: Collection[Touched]) -> Guard | None:
    """The lock that guards a place by custom, else the one that most accesses hold."""
    use = Guards(program.world, program.singletons).guard(reached)
    if use is not None:
        return Guard(use.lock.name, use.held, use.total, True)
    counted = [access for access in accesses if access.contexts] or [row for row in accesses if not row.imported]
    counts = {lock: sum(lock in access.locks for access in counted) for access in counted for lock in access.locks}
    if not counts:
        return None
    most = min(counts, key=lambda lock: (-counts[lock], lock))
    return Guard(most, counts[most], len(counted), False)


# -- silence -----------------------------------------------------------------------------------------------------------


def _silences(
    program: Program, record: Record, concurrent: list[Reached], findings: Collection[Told]
) -> tuple[Silence, ...]:
    """Why pairs are not reported, those that are left out."""
    functions = program.world.symbols.functions

    def location(access: Reached) -> Location:
        return Location(functions[access.touch.fid].path, access.touch.line)

    grouped: dict[tuple[int, str], dict[tuple[Location, Location], None]] = defaultdict(dict)
    for verdict in Verdicts(program, record).of(concurrent):
        pair = (location(verdict.first), location(verdict.second))
        if not _is_told(verdict, pair, findings):
            grouped[KINDS.index(verdict.kind), verdict.text][pair] = None
    return tuple(
        Silence(KINDS[kind], text, tuple(pairs)) for (kind, text), pairs in sorted(grouped.items(), reverse=True)
    )


def _is_told(verdict: Verdict, pair: tuple[Location, Location], findings: Iterable[Told]) -> bool:
    """Whether two accesses that may meet are part of a finding: there is one for a place in each function."""
    if verdict.kind != "harmless":
        return False
    return any(
        side.path == where.path and side.line <= where.line <= max(side.line, side.end_line)
        for told in findings
        for side in told.finding.sides
        for where in pair
    )


def _summary(
    program: Program,
    declared: Declared | None,
    concurrent: list[Reached],
    others: list[Reached],
    findings: Collection[Told],
    silences: Collection[Silence],
) -> Iterator[str]:
    shown = sum(not told.hidden for told in findings)
    if shown:
        yield f"reported: {shown} {'finding' if shown == 1 else 'findings'}"
    elif findings:
        yield "not reported: what was found is hidden"
    if declared is not None and declared.kind == "confined":
        yield "not reported: it is declared never to be shared, and that is believed"
        return
    if declared is not None and not shown:
        yield "judged by its contract: every access holds the lock, or is made before others can see it"
        return
    if findings:
        return
    if not concurrent and not others:
        yield "not reported: no access is seen, but for those that make it"
    elif not concurrent:
        known = {id(entry) for entry in program.entries}
        if any(id(access.state.entry) in known for access in others):
            yield "not reported: what runs concurrently touches it on objects that no other context has"
        else:
            yield "not reported: nothing that runs concurrently is seen to touch it (see `racelint entrypoints`)"
    elif not any(access.touch.effect in MUTATING for access in concurrent):
        yield "not reported: it is not changed once something runs concurrently"
    elif silences:
        kinds = {silence.kind for silence in silences}
        words = {
            "lock": "a lock is held",
            "order": "they never meet",
            "turns": "tasks take turns",
            "object": "they are to different objects",
            "harmless": "a meeting does no harm",
        }
        yield "not reported: for each two accesses, " + " or ".join(
            words[kind] for kind in reversed(KINDS) if kind in kinds
        )
