"""From a race to a finding: sides, traces, and sentences a reader can act on."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from racelint.analysis.enforce import Breach
from racelint.analysis.locks import Lock
from racelint.analysis.program import Program
from racelint.analysis.races import Race
from racelint.analysis.walk import Reached, State
from racelint.link.symbols import FunctionInfo
from racelint.model import facts as f
from racelint.model.findings import Confidence, Context, Finding, Severity, Side, Step
from racelint.model.spots import columns, line_of, spot
from racelint.rules.alternatives import alternative

VERBS = {
    "read": "read",
    "rebind": "assignment",
    "unbind": "deletion",
    "look": "look-up",
    "item": "look-up",
    "insert": "insert",
    "delete": "delete",
    "discard": "delete",
    "clear": "clear",
    "update": "update",
    "claim": "insert",
    "order": "reordering",
    "iterate": "iteration",
    "snapshot": "copy",
}
ACCESS = {
    "read": "read",
    "rebind": "write",
    "unbind": "delete",
    "look": "read",
    "item": "read",
    "insert": "insert",
    "delete": "delete",
    "discard": "delete",
    "clear": "delete",
    "update": "update",
    "claim": "insert",
    "order": "update",
    "iterate": "iterate",
    "snapshot": "read",
}
CONTEXT_WORDS = {
    "main": "main thread",
    "thread": "thread",
    "pool": "thread pool",
    "event-loop": "event loop",
    "signal": "signal handler",
    "any": "caller's thread",
    "process": "process",
}

# A lock that is held at less than one in so many places that touch something is not there for it.
FEW = 3


class Phrasing:
    """Builds findings from races of one program. ``sources``: the lines of each file by its display path."""

    def __init__(self, program: Program, sources: Mapping[str, Sequence[str]]) -> None:
        self.world = program.world
        self.sources = sources
        self._accesses: dict[str, list[Reached]] = defaultdict(list)
        for access in program.reached:
            self._accesses[access.touch.name].append(access)

    # -- parts --------------------------------------------------------------------------------------------------------

    def function(self, reached: Reached) -> FunctionInfo:
        """The function an access stands in."""
        return self.world.symbols.functions[reached.touch.fid]

    def short(self, name: str) -> str:
        """A place or function without its module: ``Registry.pods``."""
        parts = name.split(".")
        for index, part in enumerate(parts[:-1]):
            if part[:1].isupper() or part[:2] == "_" + part[1:2].upper():
                return ".".join(parts[index:])
        return parts[-1]

    def local(self, name: str) -> str:
        """A dotted name without the module it is defined in; nothing for a module itself."""
        parts = name.split(".")
        lengths = range(len(parts), 0, -1)
        known = next((length for length in lengths if ".".join(parts[:length]) in self.world.symbols.modules), 0)
        return ".".join(parts[known:])

    def entry_name(self, reached: Reached) -> str:
        """The entry point an access is reached from, as a bare function name."""
        info = self.world.symbols.functions[reached.state.entry.target.name]
        name = self.short(info.display)
        return name if "." in name else ".".join(info.display.split(".")[-2:])

    def trace(self, state: State) -> tuple[Step, ...]:
        """The calls from the entry point to the function of a state."""
        steps: list[Step] = []
        current = state
        while current.parent is not None:
            caller = self.world.symbols.functions[current.parent.fid]
            event = caller.facts.events[current.event]
            callee = self.world.symbols.functions[current.fid]
            steps.append(Step(caller.path, event.line, caller.display, self.short(callee.display)))
            current = current.parent
        return tuple(reversed(steps))

    def side(self, reached: Reached, *, until: Reached | None = None, access: str = "", detail: str = "") -> Side:
        """One side of a finding; ``until`` extends it to the second step of a compound."""
        info = self.function(reached)
        touch = reached.touch
        line, end = touch.line, touch.line
        if until is not None and until.touch.fid == touch.fid:
            end = max(end, until.touch.line)
            line = min(line, until.touch.line)
        column, end_column = columns(self.sources.get(info.path, ()), line, end, touch.name)
        entry = reached.state.entry
        target = self.world.symbols.functions[entry.target.name]
        context = Context(target.display, entry.kind, entry.path, entry.line, entry.why)
        locks = tuple(sorted({lock.name for lock in self._held(reached, until)}))
        return Side(
            info.path,
            line,
            column,
            end,
            end_column,
            info.display,
            access or ACCESS[touch.effect],
            locks,
            context,
            self.trace(reached.state),
            detail or VERBS[touch.effect],
            touch.name,
        )

    def _held(self, reached: Reached, until: Reached | None) -> tuple[Lock, ...]:
        if until is None:
            return reached.locks
        own = {lock for lock, region in reached.held if region >= -1}  # others are held in a callee only
        return tuple(lock for lock in reached.locks if lock in until.locks and lock in own)

    def where(self, reached: Reached) -> str:
        """``path:line`` of an access."""
        return spot(self.function(reached).path, reached.touch.line)

    def line(self, reached: Reached, line: int | None = None) -> str:
        """The number of an access's line, or of another ``line`` of its file."""
        return line_of(self.function(reached).path, reached.touch.line if line is None else line)

    def locks_text(self, reached: Reached) -> str:
        """``holding `_lock``` or ``with no lock``."""
        names = sorted({self.short(lock.name) for lock in reached.locks})
        return "holding " + ", ".join(f"`{name}`" for name in names) if names else "with no lock"

    def meets(self, race: Race) -> str:
        """Who runs beside whom: ``f() runs in parallel from a and b (thread pool)``."""
        function = self.short(self.function(race.first).display)
        if race.fed is not None:
            return (
                f"{function}() runs in parallel with {race.second.state.entry.row} ({CONTEXT_WORDS[race.fed.context]})"
            )
        kind = CONTEXT_WORDS[race.second.state.entry.kind]
        first, second = self.entry_name(race.first), self.entry_name(self.other(race))
        if race.first.touch.fid == race.second.touch.fid:
            if first != second:
                return f"{function}() runs in parallel from {first} and {second} ({kind})"
            return f"{function}() runs in parallel with itself, from {first} ({kind})"
        other = self.short(self.function(race.second).display)
        known_as = ""
        if race.second.touch.content and race.second.touch.name != race.first.touch.name:
            known_as = f", where it is {self.short(race.second.touch.name)}"
        return f"{function}() runs in parallel with {other}() in {second} ({kind}){known_as}"

    def turns(self, race: Race) -> str:
        """Who gets a turn while the first side waits: ``g(), in b, can run there``."""
        if race.fed is not None:
            return f"{race.second.state.entry.row} can run there"
        first, second = self.entry_name(race.first), self.entry_name(self.other(race))
        if race.first.touch.fid == race.second.touch.fid:
            return f"another task of {first} can run there" if first == second else f"{second} can run there"
        other = self.short(self.function(race.second).display)
        itself = race.second.state.entry.target.name == race.second.touch.fid
        return f"{other}() can run there" + ("" if itself else f", in {second}")

    def task_advice(self, race: Race) -> str:
        """Which lock to hold over the whole of a compound of a task."""
        if race.fed is not None:
            return f"look it up anew after the await: no lock keeps {race.second.state.entry.row} out"
        others = sorted({self.short(lock.name) for lock in race.second.locks})
        if others:
            return f"hold `{others[0]}` here, as the other side does"
        return f"hold one asyncio.Lock over every use of `{self.short(race.name)}` that spans an await"

    def hands_out(self, reached: Reached) -> bool:
        """Whether an access is a ``return`` of what the caller will walk."""
        return isinstance(self.function(reached).facts.events[reached.touch.event], f.Return)

    # -- finding ------------------------------------------------------------------------------------------------------

    def confidence(self, race: Race) -> Confidence:
        """How sure both ways and both contexts are."""
        if race.doubt > 1:
            return "low"
        if race.doubt:
            return "medium"
        if any(reached.touch.assumed for reached in race.reached):
            return "medium"
        if race.first.group is race.second.group and race.first.group.api:
            return "medium"
        return "high"

    def other(self, race: Race) -> Reached:
        """The second side, shown from another entry point where the same access is reached from one."""
        second = race.second
        same = second.touch.fid == race.first.touch.fid and second.state.entry is race.first.state.entry
        if same and second.other is not None:
            return Reached(second.touch, second.other, second.group, second.held, second.started)
        return second

    def finding(
        self,
        race: Race,
        rule: str,
        code: str,
        severity: Severity,
        message: str,
        *,
        first: Side,
        second: Side,
        consequence: str,
        advice: str,
        notes: Sequence[str] = (),
    ) -> Finding:
        """The finished finding; it weighs less where only supposed callers meet, or on perhaps two objects."""
        unsure = not race.rooted and self.confidence(race) != "high"
        if unsure or (race.supposed and self._left_out(race)):
            severity = "note"
        elif severity == "error" and (race.supposed or not race.rooted or race.far):
            severity = "warning"
        elif severity == "warning" and not race.rooted:
            severity = "note"
        info = self.function(race.first)
        check = info.facts.events[race.first.touch.event]
        asks = isinstance(check, f.Access) and check.kind == "has"
        instead = alternative(race, self._accesses[race.name], asks) if race.fed is None else ""
        names = (race.name, info.display, self.function(race.second).display)
        return Finding(
            rule=rule,
            code=code,
            severity=severity,
            confidence=self.confidence(race),
            message=message,
            place=race.name,
            fingerprint=fingerprint(rule, *names),
            local_fingerprint=fingerprint(rule, *map(self.local, names)),
            sides=(first, second),
            why=race.why,
            consequence=consequence,
            help=advice,
            notes=(
                *notes,
                *([f"instead of a lock: {instead}"] if instead else []),
                *(
                    ["nothing says that both sides have the same object: one line may make many"]
                    if not race.rooted
                    else []
                ),
            ),
        )

    def _left_out(self, race: Race) -> bool:
        """Whether the lock of a class alone speaks for several callers, and is hardly ever held for this place."""
        first, second = race.first.group, race.second.group
        if first is not second or first.kind != "any":
            return False
        every = {(access.touch.fid, access.touch.event) for access in self._accesses[race.name]}
        held = {(access.touch.fid, access.touch.event) for access in self._accesses[race.name] if access.locks}
        return len(held) * FEW < len(every)

    def breach(
        self,
        breach: Breach,
        rule: str,
        code: str,
        severity: Severity,
        message: str,
        *,
        side: Side,
        consequence: str,
        advice: str,
    ) -> Finding:
        """The finished finding about a contract: one side suffices to break it."""
        access, contract = breach.reached, breach.contract
        doubt = access.state.doubt + access.touch.assumed
        confidence: Confidence = "high" if not doubt else "medium" if doubt == 1 else "low"
        names = (contract.subject, self.function(access).display)
        return Finding(
            rule=rule,
            code=code,
            severity=severity,
            confidence=confidence,
            message=message,
            place=contract.subject,
            fingerprint=fingerprint(rule, *names),
            local_fingerprint=fingerprint(rule, *map(self.local, names)),
            sides=(side,),
            why=f"the contract is written at {contract.where}",
            consequence=consequence,
            help=advice,
        )

    def made_in(self, access: Reached) -> str:
        """The method in which a call makes an access: ``, in used()``; nothing for what stands there itself."""
        return "" if access.inside is None else f" in {self.short(self.function(access.itself).display)}()"

    def lock_advice(self, race: Race) -> str:
        """Which lock to hold."""
        if race.in_calls:
            names = sorted({self.short(lock.name) for lock in race.second.locks})
            return f"hold `{names[0] if names else 'the lock'}` once, and call helpers that expect it to be held"
        if race.guard is not None:
            name = self.short(race.guard.lock.name)
            return f"hold `{name}` here, as {race.guard.held} of {race.guard.total} accesses do"
        others = sorted({self.short(lock.name) for lock in race.second.locks})
        if others:
            return f"hold `{others[0]}` here, as the other side does"
        return f"hold one lock over every access of `{self.short(race.name)}`"


def fingerprint(*parts: str) -> str:
    """An identity that survives edits elsewhere: names only, no lines."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
