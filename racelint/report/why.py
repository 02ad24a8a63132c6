"""What is known about one place, for people and as JSON: ``racelint why``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict

from rich.text import Text

from racelint.model.explanation import Explanation, Location, Silence, Touched
from racelint.model.findings import Context
from racelint.report import json
from racelint.report.text import (
    CONTEXT_WORDS,
    SEVERITY_STYLES,
    headline,
    location,
    other_side,
    plural,
    render_lines,
    safe,
    short,
)

VERSION = 1
PAIRS_SHOWN = 5
CONTEXTS_SHOWN = 4
HEADING, DIM = "bold", "dim"


def render(explanation: Explanation, *, color: bool = False, verbose: bool = False) -> str:
    """The place, what guards it, its accesses, what is reported and why the rest is not."""
    return render_lines(_lines(explanation, verbose), color)


def render_json(explanation: Explanation) -> str:
    """The same for programs, as ``why_schema_v1.json`` describes it. ASCII only: no name can steer a terminal."""
    return json.dumps(
        {
            "version": VERSION,
            "place": explanation.place,
            "summary": list(explanation.summary),
            "declared": None if explanation.declared is None else asdict(explanation.declared),
            "guard": None if explanation.guard is None else asdict(explanation.guard),
            "accesses": [asdict(access) for access in explanation.accesses],
            "findings": [
                {**json.finding(told.finding), "hidden": told.hidden or None} for told in explanation.findings
            ],
            "silences": [asdict(silence) for silence in explanation.silences],
        }
    )


def _lines(explanation: Explanation, verbose: bool) -> Iterator[Text]:
    yield Text(safe(explanation.place), HEADING)
    for sentence in explanation.summary:
        yield Text(f"  {safe(sentence)}")
    yield Text(f"  guard: {_guarded(explanation)}")
    if explanation.accesses:
        yield from _heading("accesses")
        yield from (line for access in explanation.accesses for line in _access(access, verbose))
    if explanation.findings:
        yield from _heading("found")
        for told in explanation.findings:
            where, kind, message = headline(told.finding)
            style = SEVERITY_STYLES[told.finding.severity]
            yield Text.assemble(f"  {where}: ", (kind, style), f" {message}{other_side(told.finding)}")
            if told.hidden:
                yield Text(f"    not shown: {safe(told.hidden)}")
    if explanation.silences:
        yield from _heading("not reported")
        for silence in explanation.silences:
            yield from _silence(silence, verbose)


def _heading(text: str) -> Iterator[Text]:
    yield Text()
    yield Text(text, HEADING)


def _guarded(explanation: Explanation) -> str:
    declared, guard = explanation.declared, explanation.guard
    held = "no access holds a lock"
    if guard is not None:
        lock = f"`{safe(short(guard.lock))}`"
        held = f"{guard.held} of {guard.total} accesses hold {lock}"
        if declared is None and guard.usual:
            return f"{lock}, which {guard.held} of {guard.total} accesses hold"
    if declared is None:
        return f"none, {held}"
    said = f"`{safe(short(declared.lock))}` by contract" if declared.lock else "none, declared confined"
    return f"{said} ({location(declared.path, declared.line)}), {held}"


def _access(access: Touched, verbose: bool) -> Iterator[Text]:
    held = _names(access.locks)
    locks = f"holding {held}" if held else "no lock held"
    some = f" ({_names(access.sometimes)} on some ways)" if access.sometimes else ""
    what = f"{safe(', '.join(access.accesses))} in {safe(access.function)}, {locks}{some}"
    yield Text(f"  {location(access.path, access.line)}: {what}")
    shown = access.contexts if verbose else access.contexts[:CONTEXTS_SHOWN]
    for context in shown:
        yield Text(f"      {_context(context)}", DIM)
    if len(shown) < len(access.contexts):
        yield Text(f"      and {plural(len(access.contexts) - len(shown), 'context')} more", DIM)
    if not access.contexts:
        alone = (
            "when the module is imported" if access.imported else "nothing that runs concurrently is seen to get here"
        )
        yield Text(f"      {alone}", DIM)


def _names(locks: Iterable[str]) -> str:
    return ", ".join(f"`{safe(short(lock))}`" for lock in locks)


def _context(context: Context) -> str:
    words = CONTEXT_WORDS.get(context.kind, context.kind)
    return f"{safe(words)}: {safe(context.entry)} ({location(context.path, context.line)}), {safe(context.why)}"


def _silence(silence: Silence, verbose: bool) -> Iterator[Text]:
    yield Text(f"  {safe(silence.text)} ({plural(len(silence.pairs), 'pair')})")
    shown = silence.pairs if verbose else silence.pairs[:PAIRS_SHOWN]
    for pair in shown:
        yield Text(f"      {_pair(*pair)}", DIM)
    if len(shown) < len(silence.pairs):
        yield Text(f"      and {len(silence.pairs) - len(shown)} more (all with --verbose)", DIM)


def _pair(first: Location, second: Location) -> str:
    one, other = location(first.path, first.line), location(second.path, second.line)
    return f"{one} and itself" if first == second else f"{one} and {other}"
