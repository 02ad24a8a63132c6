"""One run: discover, extract, link, analyse, apply rules. It prints nothing and writes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from racelint import discover, suppress
from racelint.analysis import contracts
from racelint.analysis.program import Analysis, Program
from racelint.analysis.races import Judges
from racelint.config import OVERLAPPING_CONTEXTS, Settings
from racelint.contexts.entry_points import EntryPoint, project_entries
from racelint.frameworks.schema import ContextKind, builtin, merge
from racelint.judged import Judged
from racelint.link.program import link
from racelint.link.world import World
from racelint.model.findings import EntryPointInfo, Finding, Result
from racelint.model.source import Problem
from racelint.reading import Extracted, Progress, Read, read_all, without_collecting
from racelint.rules import Rule, all_rules
from racelint.rules.phrasing import Phrasing
from racelint.stack import with_deep_stack


def entry_infos(world: World, entries: Iterable[EntryPoint]) -> tuple[EntryPointInfo, ...]:
    """Entry points as they are listed."""
    infos = {
        EntryPointInfo(
            world.symbols.functions[entry.target.name].display,
            entry.kind,
            entry.self_overlap,
            entry.path,
            entry.line,
            entry.why,
            entry.row,
            entry.table,
        )
        for entry in entries
    }
    return tuple(sorted(infos, key=lambda info: (info.path, info.line, info.function, info.kind, info.row)))


def selected(settings: Settings) -> tuple[Rule, ...]:
    """The rules a run uses."""
    rules = all_rules()
    wanted = [rule for rule in rules if not settings.select or {rule.name, rule.code} & set(settings.select)]
    return tuple(rule for rule in wanted if not {rule.name, rule.code} & set(settings.ignore))


def annotated_entries(extracted: Iterable[Extracted]) -> list[tuple[str, ContextKind, bool, str]]:
    """Entry points named by ``# racelint: entrypoint(kind)`` on (or above) a definition."""
    found: list[tuple[str, ContextKind, bool, str]] = []
    for item in extracted:
        if item.facts is None:
            continue
        for line, kind in suppress.entrypoints(item.facts.comments):
            for function in item.facts.functions:
                if function.kind == "function" and function.line in (line, line + 1):
                    name = f"{item.facts.module}.{function.qualname.replace('.<locals>', '')}"
                    why = f"marked as an entry point at {item.file.display}:{line}"
                    found.append((name, kind, kind in OVERLAPPING_CONTEXTS, why))
    return found


def analyse_program(
    extracted: Sequence[Extracted],
    settings: Settings,
    aliases: dict[str, str],
    progress: Progress | None = None,
    judges: Judges | None = None,
) -> Program:
    """Link and analyse what was extracted. ``judges`` may remember their reasons."""
    tables = merge([settings.tables, builtin()])
    modules = [
        (item.facts, item.file.display)
        for item in extracted
        if item.facts is not None and (settings.include_tests or not discover.is_test(item.file.display))
    ]
    if progress is not None:
        progress("linking", 0, 1)
    world = link(modules, aliases, tables)
    specs = [*settings.entrypoint_specs(), *annotated_entries(extracted)]
    analysis = Analysis(world, project_entries(world, specs), library=settings.library)
    analysis.judges = judges or Judges()
    found = contracts.gather(world, analysis.locks, {item.file.display: item.text for item in extracted})
    asked = {rule.name for rule in selected(settings)}
    analysis.contracts = found.without(kind for kind in contracts.CHECKED if kind not in asked)
    report = None
    if progress is not None:
        notify = progress

        def report(done: int, total: int) -> None:
            notify("analysing", done, total)

    return analysis.run(report)


def analyse(project: Path, settings: Settings, progress: Progress | None = None, read: Read = read_all) -> Result:
    """Analyse a project: every finding of the selected rules, suppressed ones marked, in a stable order."""
    return with_deep_stack(lambda: examine(project, settings, progress, read)[1])


@dataclass(frozen=True, slots=True)
class Loaded:
    """A project as it was read, before anything was judged."""

    extracted: tuple[Extracted, ...]
    problems: tuple[Problem, ...]
    aliases: dict[str, str]


def load(project: Path, settings: Settings, progress: Progress | None = None, read: Read = read_all) -> Loaded:
    """Find the files of a project, and read them as ``read`` does it."""
    files, problems = discover.discover(project, settings.exclude)
    return loaded(read(files, progress), problems, settings)


def loaded(extracted: Sequence[Extracted], problems: Iterable[Problem], settings: Settings) -> Loaded:
    """A project of these files, with the ``problems`` of finding them."""
    problems = [*problems, *(item.problem for item in extracted if item.problem is not None)]
    reserved = {name.partition(".")[0] for row in merge([settings.tables, builtin()]).entry for name in row.name}
    aliases = discover.module_aliases((item.file for item in extracted), reserved)
    return Loaded(tuple(extracted), tuple(problems), aliases)


@without_collecting()
def assess(
    loaded: Loaded, settings: Settings, progress: Progress | None = None, judges: Judges | None = None
) -> tuple[Program, Judged]:
    """The program a project is, and every finding of the selected rules in it."""
    extracted = loaded.extracted
    program = analyse_program(extracted, settings, loaded.aliases, progress, judges)
    sources = {item.file.display: item.text for item in extracted}
    phrasing = Phrasing(program, sources)
    findings: list[Finding] = []
    for rule in selected(settings):
        findings.extend(rule.check(program, phrasing))
    findings = distinct(findings)
    return program, Judged(
        findings=tuple(findings),
        problems=program.contracts.problems,
        entry_points=entry_infos(program.world, program.entries),
        rules=tuple(name for rule in all_rules() for name in (rule.name, rule.code)),
        ran=tuple(name for rule in selected(settings) for name in (rule.name, rule.code)),
    )


def judge(
    loaded: Loaded, settings: Settings, progress: Progress | None = None, judges: Judges | None = None
) -> tuple[Program, Result]:
    """``assess``, with what comments silence; ``elapsed_s`` is that of the judging."""
    started = time.monotonic()
    program, judged = assess(loaded, settings, progress, judges)
    return program, replace(judged.result(loaded.extracted, loaded.problems), elapsed_s=time.monotonic() - started)


def examine(
    project: Path,
    settings: Settings,
    progress: Progress | None = None,
    read: Read = read_all,
    judges: Judges | None = None,
) -> tuple[Program, Result]:
    """The program that a project is, beside the result of analysing it; to be run by ``with_deep_stack``."""
    started = time.monotonic()
    program, result = judge(load(project, settings, progress, read), settings, progress, judges)
    return program, replace(result, elapsed_s=time.monotonic() - started)


def distinct(findings: Iterable[Finding]) -> list[Finding]:
    """Sorted findings; of several with one rule, place and function the surest and shortest stays."""
    order = {"high": 0, "medium": 1, "low": 2}
    best: dict[tuple[str, str, str], Finding] = {}
    for finding in findings:
        side = finding.sides[0]
        key = (finding.rule, finding.place, side.function)
        rank = (order[finding.confidence], finding.severity != "error", len(side.trace), side.line)
        known = best.get(key)
        if known is None or rank < (
            order[known.confidence],
            known.severity != "error",
            len(known.sides[0].trace),
            known.sides[0].line,
        ):
            best[key] = finding
    found = sorted(best.values(), key=lambda f: (f.sides[0].path, f.sides[0].line, f.code, f.place, f.fingerprint))
    seen: dict[str, int] = {}
    result = []
    for finding in found:
        count = seen.get(finding.fingerprint, 0)
        seen[finding.fingerprint] = count + 1
        result.append(finding if not count else replace(finding, fingerprint=f"{finding.fingerprint}-{count + 1}"))
    return result
