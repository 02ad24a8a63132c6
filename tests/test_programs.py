"""What holds for any program: ``programs.py`` makes them up.

A few programs, always the same, are tried in every run. ``RACELINT_FUZZ=N`` tries N others; a failure is then kept by
hypothesis and tried first the next time.
"""

from __future__ import annotations

import ast
import os
import random
import tempfile
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from programs import programs

from benchmarks.trial import trial
from racelint import config, mend, pipeline
from racelint.model.findings import Result
from racelint.report import formats
from racelint.stack import with_deep_stack

FUZZ = int(os.environ.get("RACELINT_FUZZ", "0"))


def examples(few: int) -> settings:
    """So many programs, always the same; with ``RACELINT_FUZZ``, others and more."""
    return settings(
        max_examples=FUZZ or few,
        derandomize=not FUZZ,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=tuple(Phase) if FUZZ else (Phase.explicit, Phase.generate),
    )


SETTINGS = config.Settings(min_severity="note", min_confidence="low", library=True)


def write(folder: Path, program: dict[str, str]) -> None:
    for name, text in program.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


def report(result: Result) -> str:
    """All that is said, byte for byte, but for how long it took."""
    style = formats.Style(False, True, None)
    return formats.FORMATS["json"].render(replace(result, elapsed_s=0.0, from_cache=0), {}, style)


def errors(result: Result) -> Counter[str]:
    """How many findings are errors, by rule."""
    return Counter(finding.rule for finding in result.findings if finding.severity == "error")


# What was found with RACELINT_FUZZ, cut down.
FOUND = {
    "a default of a lambda in the body of a class": "class A:\n    a = 1; b = 2\n    f = lambda x, y=(a, b): y\n",
}


@pytest.mark.parametrize("kind", FOUND)
def test_what_was_found(kind: str, tmp_path: Path) -> None:
    write(tmp_path, {"main.py": FOUND[kind]})
    assert not pipeline.analyse(tmp_path, SETTINGS).problems


@examples(15)
@given(programs())
def test_every_file_is_read_and_rendered_as_it_is(program: dict[str, str]) -> None:
    for text in program.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "module.py", "exec")
        found = with_deep_stack(lambda text=text: trial(text.encode()))  # type: ignore[misc]
        assert (found.kind, found.message) == ("read", "")


@examples(8)
@given(programs())
def test_the_answer_does_not_depend_on_the_order_of_files_or_on_earlier_runs(program: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), program)

        def work() -> int:
            loaded = pipeline.load(Path(name), SETTINGS)
            assert not loaded.problems
            _, first = pipeline.judge(loaded, SETTINGS)
            shuffled = list(loaded.extracted)
            random.Random(1).shuffle(shuffled)
            for order in (loaded.extracted, tuple(shuffled), tuple(reversed(shuffled))):
                _, again = pipeline.judge(replace(loaded, extracted=order), SETTINGS)
                assert report(again) == report(first)
            return len(first.findings)

        event(f"{min(with_deep_stack(work), 5)} findings or more")


@examples(5)
@given(programs())
def test_fixes_are_sound(program: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, program)
        result = mend.mend(folder, SETTINGS, lambda finding: True, unsafe=True)
        event(f"{len(result.done)} places mended")
        for change in result.changes:
            before, after = change.old.decode(), change.new.decode()
            assert before.encode() == program[change.display].encode()
            ast.parse(after)
            # Nothing that is said beside the code is lost, and line ends stay of one kind.
            assert before.count("#") == after.count("#")
            assert before.count("\f") == after.count("\f")
            assert ("\r" in before) == ("\r" in after)
            change.path.write_bytes(change.new)
        again = pipeline.analyse(folder, SETTINGS)
        assert {problem.rule for problem in again.problems} <= {"unused-ignore"}
        assert report(again) == report(result.after)
        assert not errors(again) - errors(result.before)
