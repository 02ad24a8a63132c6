"""Two locks are taken in one order here and in the other order there."""

from __future__ import annotations

from collections.abc import Iterator

from racelint.analysis.deadlocks import Circle, Deadlocks
from racelint.analysis.program import Program
from racelint.model.findings import Finding
from racelint.rules import Rule
from racelint.rules import lock_words as words
from racelint.rules.phrasing import CONTEXT_WORDS, Phrasing


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Locks that are waited for in a circle."""
    for circle in Deadlocks(program.world, program.watched.takes).circles(program.overlap, program.turns):
        yield _finding(_first_by_place(circle), phrasing)


def _first_by_place(circle: Circle) -> Circle:
    """The same circle, begun where a reader would begin: by the names of the locks held."""
    start = min(range(len(circle.held)), key=lambda index: (circle.held[index].at.touch.name, index))
    turn = (*range(start, len(circle.held)), *range(start))
    return Circle(tuple(circle.takes[i] for i in turn), tuple(circle.held[i] for i in turn), circle.why)


def _finding(circle: Circle, phrasing: Phrasing) -> Finding:
    first, second = circle.takes[0], circle.takes[1]
    held = [phrasing.short(take.at.touch.name) for take in circle.held]
    function = phrasing.short(phrasing.function(first.at).display)
    other = phrasing.short(phrasing.function(second.at).display)
    kind = CONTEXT_WORDS[second.at.state.entry.kind]
    chain = " -> ".join((*held, held[0]))
    if len(held) == 2:
        message = (
            f"{held[0]}, {held[1]}: {function}() takes `{held[1]}` while it holds `{held[0]}`, and {other}() takes "
            f"`{held[0]}` while it holds `{held[1]}`, in {phrasing.entry_name(second.at)} ({kind})"
        )
    else:
        message = f"{chain}: these locks are taken in a circle, here `{held[1]}` in {function}() under `{held[0]}`"
    sides = tuple(words.taking(phrasing, take) for take in circle.takes)
    api = any(a.at.group is b.at.group and a.at.group.api for a in circle.takes for b in circle.takes if a is not b)
    return words.finding(
        phrasing,
        RULE.name,
        RULE.code,
        RULE.severity,
        message,
        sure=words.confidence(circle.doubt, assumed=bool(api)),
        place=circle.held[0].at.touch.name,
        sides=sides,
        why=circle.why,
        consequence="each side holds what the other waits for: both stand still for ever",
        advice=f"take them in one order everywhere, {' before '.join(sorted(held))}, or let one go before the other",
        notes=[
            f"`{phrasing.short(outer.at.touch.name)}` is held from {words.where(phrasing, outer)} when "
            f"`{phrasing.short(take.at.touch.name)}` is taken at {words.where(phrasing, take)}"
            for outer, take in zip(circle.held, circle.takes, strict=True)
        ],
    )


RULE = Rule(
    "lock-order",
    "RL304",
    "two locks are taken in one order here and in the other order there",
    "error",
    (833,),
    "0.1",
    check,
)
