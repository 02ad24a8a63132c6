"""Properties of fixes on generated programs: they parse, touch nothing else, and doing them twice is doing them once.

The programs are racy on purpose: workers of a pool test and change module dictionaries, in many shapes and layouts.
"""

from __future__ import annotations

import ast
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from racelint import config, mend, select
from racelint.mend import Mended

PLACES = ("JOBS", "seen")
HEAD = ["import os", "from concurrent.futures import ThreadPoolExecutor", ""]
KEYS = st.sampled_from(["key", "'a'", "(key, 1)", "f'{key}'"])
PLACE = st.sampled_from(PLACES)
COMMENTS = st.sampled_from(["", "", "", "  # why: é", "  # noqa"])
VALUES = st.sampled_from(["key", "1", "os.getcwd()", "[key]", "make(key)", "(\n        key\n    )"])


@st.composite
def simple(draw: st.DrawFn) -> str:
    """One statement on a place, or one that has nothing to do with any."""
    place, key, value = draw(PLACE), draw(KEYS), draw(VALUES)
    return draw(
        st.sampled_from(
            [
                f"{place}[{key}] = {value}",
                f"{place}.pop({key}, None)",
                f"{place}[{key}] = {place}.get({key}, 0) + 1",
                f"found = {place}.get({key})",
                f"del {place}[{key}]",
                f"{place}.update({{{key}: 1}}); found = 1",
                "found = os.getpid()",
                "pass",
            ]
        )
    )


@st.composite
def block(draw: st.DrawFn, indent: str, depth: int = 0) -> list[str]:
    """Statements of one indentation, compound ones among them."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["simple", "simple", "if", "else", "for", "try", "one-line", "with", "lines"]))
        step = draw(st.sampled_from(["    ", "\t", "  "]))
        comment = draw(COMMENTS)
        if draw(st.booleans()):
            lines.append("")
        if kind == "simple" or depth > 1:
            lines.append(f"{indent}{draw(simple())}{comment}")
            continue
        if kind == "lines":
            lines += [f"{indent}# a comment of its own", f"{indent}{draw(simple())} ;"]
            continue
        place, key = draw(PLACE), draw(KEYS)
        if kind == "one-line":
            lines.append(f"{indent}if {key} in {place}: {place}[{key}] = 1; found = 2{comment}")
            continue
        inner = draw(block(indent + step, depth + 1))
        match kind:
            case "if":
                lines += [f"{indent}if {key} not in {place}:{comment}", *inner]
            case "else":
                again = draw(block(indent + step, depth + 1))
                lines += [f"{indent}if {place}.get({key}):", *inner, f"{indent}else:{comment}", *again]
            case "for":
                lines += [f"{indent}for item in {place}:{comment}", *inner]
            case "try":
                lines += [f"{indent}try:{comment}", *inner, f"{indent}except KeyError:", f"{indent}{step}pass"]
            case _:
                lines += [f"{indent}with open(os.devnull):{comment}", *inner]
    return lines


@st.composite
def program(draw: st.DrawFn) -> str:
    """A module whose workers run in a pool."""
    lines = [*HEAD, "JOBS = {}", "seen = {}  # by name", "", "", "def make(key):", "    return key", ""]
    names = [f"work_{number}" for number in range(draw(st.integers(1, 3)))]
    for name in names:
        indent = draw(st.sampled_from(["    ", "\t", "  "]))
        lines += ["", f"def {name}(key):", *draw(block(indent)), ""]
    lines += ["", "with ThreadPoolExecutor() as pool:", *(f"    pool.map({name}, 'abc')" for name in names)]
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = end.join("\n".join(lines).split("\n"))
    return text + draw(st.sampled_from(["", end, f"{end}# the end", f"{end}{end}"]))


def mended(folder: Path) -> Mended:
    """All fixes of a folder, unsafe ones too."""
    found = config.load(folder)
    return mend.mend(folder, found, lambda finding: select.is_grave(finding, found), unsafe=True)


def touching(line: str) -> bool:
    """Whether a line may be rewritten: it is about a place, shares its line with others, or continues one above."""
    return any(place in line for place in PLACES) or ";" in line or line in ("key", ")")


def words(text: str) -> list[str]:
    """The lines of a text without what indents and surrounds them."""
    return [line.strip() for line in text.splitlines() if line.strip()]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(program())
def test_a_fix_is_sound_text(source: str) -> None:
    compile(source, "main.py", "exec")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "main.py"
        path.write_bytes(source.encode())
        result = mended(folder)
        event(f"{len(result.done)} places mended")
        if not result.changes:
            return
        (change,) = result.changes
        new = change.new.decode()
        ast.parse(new)
        # Nothing is lost and nothing moves: line ends and their kind, comments, and every line that is not added.
        assert new.count("\r\n") in (0, new.count("\n"))
        assert ("\r\n" in new) == ("\r\n" in source)
        assert new.endswith(("\n", "\r\n")) == source.endswith(("\n", "\r\n"))
        assert source.count("#") == new.count("#")
        kept, now = words(source), words(new)
        rest = iter(now)
        missing = [line for line in kept if not touching(line) and line not in rest]
        assert missing == []
        path.write_bytes(change.new)
        again = mended(folder)
        assert not again.changes
        places = {offer.plan.place for offer in result.done}
        assert places.isdisjoint(finding.place for finding in again.before.findings)
