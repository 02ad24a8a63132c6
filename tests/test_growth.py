"""Work that must not explode: programs that are small and tangled."""

from __future__ import annotations

from pathlib import Path

import msgspec

from racelint.config import Settings
from racelint.frontends.python.extract import extract
from racelint.link.again import Parts
from racelint.model import facts as f
from racelint.pipeline import analyse

MANY = 16


def test_threads_that_all_start_each_other_are_analysed_in_no_time(tmp_path: Path) -> None:
    """Whether an access is before what others start is not asked along every way through the starters."""
    lines = ["import threading", "seen = {}"]
    for number in range(MANY):
        lines += [f"def work{number}(n):", f"    seen[{number}] = n", "    if n:"]
        for other in range(MANY):
            lines.append(f"        threading.Thread(target=work{other}, args=(n - 1,)).start()")
    lines += ["def main():", "    seen[-1] = 0", "    threading.Thread(target=work0, args=(1,)).start()", "main()"]
    (tmp_path / "tangled.py").write_text("\n".join(lines) + "\n")
    result = analyse(tmp_path, Settings())
    assert not result.problems
    assert len(result.entry_points) >= MANY


def _parts(body: str) -> tuple[f.Function, Parts]:
    facts = extract(f"def f(a, b):\n{body}".encode(), "m", is_package=False)
    function = next(function for function in facts.functions if function.name == "f")
    return function, Parts(function)


def _param(function: f.Function, name: str) -> int:
    return 1 << function.nodes.index(f.Param(name))


def test_a_part_looks_at_what_its_nodes_are_made_of() -> None:
    """What has grown concerns those who look at it, directly or in what they look at, and nobody else."""
    function, parts = _parts("    print(a.x)\n    print(b)\n")
    calls = [index for index, event in enumerate(function.events) if isinstance(event, f.Call)]
    first, second = (parts.looks[index] for index in calls)
    assert first & _param(function, "a")
    assert not first & _param(function, "b")
    assert second & _param(function, "b")
    assert not second & _param(function, "a")


def test_parts_that_look_at_one_circle_go_together() -> None:
    """What a variable of a loop is depends on where its circle is entered first: nobody enters it alone."""
    function, _ = _parts("    return a\n    return b\n    return 1\n")
    circle = (f.Phi((1,)), f.Attr(0, "next"), f.Const("1"))
    returns = tuple(
        msgspec.structs.replace(event, value=value)
        for value, event in enumerate(event for event in function.events if isinstance(event, f.Return))
    )
    parts = Parts(msgspec.structs.replace(function, nodes=circle, events=returns))
    assert parts.looks[0] & parts.bit(1)
    assert parts.looks[1] & parts.bit(0)
    assert not parts.looks[2] & (parts.bit(0) | parts.bit(1))
