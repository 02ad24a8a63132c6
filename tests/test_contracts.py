"""Written contracts: where they may stand, how they name locks, and what is wrong with those that name none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, get_type_hints

import pytest
from click.testing import CliRunner, Result

from racelint import cli, config, pipeline
from racelint.annotations import Confined, GuardedBy, requires
from racelint.model.findings import Finding
from racelint.model.source import Problem

HEAD = "import threading\n\nLOCK = threading.Lock()\n"
PLAIN = f"{HEAD}PODS = {{}}  # racelint: guarded-by(LOCK)\n\n\ndef add(name):\n    PODS[name] = True\n"


def analysed(folder: Path, **files: str) -> tuple[tuple[Finding, ...], tuple[Problem, ...]]:
    """Findings and problems of a project; ``a__b`` is the file ``a/b.py``."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    result = pipeline.analyse(folder, config.load(folder))
    return result.findings, result.problems


def lines(findings: tuple[Finding, ...], rule: str = "guarded-by") -> list[tuple[str, int]]:
    """Place and line of each finding of one rule."""
    return [(finding.place, finding.sides[0].line) for finding in findings if finding.rule == rule]


def check(folder: Path, *options: str) -> Result:
    """``racelint check`` in a folder."""
    return CliRunner().invoke(cli.main, ["check", "--project", str(folder), "--output-format", "concise", *options])


class TestWhere:
    """Where a contract may stand."""

    @pytest.mark.parametrize(
        "definition",
        [
            "PODS = {}  # racelint: guarded-by(LOCK)",
            "# racelint: guarded-by(LOCK)\nPODS = {}",
            "# racelint: guarded-by(LOCK)\n# what runs where\nPODS = {}",
            "PODS = {  # racelint: guarded-by(LOCK)\n}",
            "PODS = {\n}  # racelint: guarded-by(LOCK) all of it",
            "PODS: dict = {}  # racelint: guarded-by(LOCK)",
            "from typing import Annotated\nfrom racelint.annotations import GuardedBy\n"
            "PODS: Annotated[dict, GuardedBy('LOCK')] = {}",
            "import typing\nfrom racelint import annotations as rl\n"
            "PODS: typing.Annotated[dict, 'other', rl.GuardedBy('LOCK')] = {}",
            "from __future__ import annotations\nfrom typing import TYPE_CHECKING, Annotated\nif TYPE_CHECKING:\n"
            "    from racelint.annotations import GuardedBy\nPODS: Annotated[dict, GuardedBy('LOCK')] = {}",
        ],
    )
    def test_a_variable(self, definition: str, tmp_path: Path) -> None:
        use = "def add(name):\n    PODS[name] = True\n"
        findings, problems = analysed(tmp_path, app=f"{HEAD}{definition}\n{use}")
        count = (HEAD + definition + "\n").count("\n")
        assert lines(findings) == [("app.PODS", count + 2)]
        assert problems == ()

    @pytest.mark.parametrize(
        "definition",
        [
            "# racelint: requires(LOCK)\ndef add(name):\n    print(name)",
            "def add(name):  # racelint: requires(LOCK)\n    print(name)",
            "def add(\n    name,\n):  # racelint: requires(LOCK)\n    print(name)",
            "import functools\n# racelint: requires(LOCK)\n@functools.cache\ndef add(name):\n    print(name)",
            "from racelint.annotations import requires\n@requires('LOCK')\ndef add(name):\n    print(name)",
        ],
    )
    def test_a_function(self, definition: str, tmp_path: Path) -> None:
        findings, problems = analysed(tmp_path, app=f"{HEAD}{definition}\n\ndef other():\n    add(1)\n")
        assert [place for place, _ in lines(findings, "requires")] == ["app.add"]
        assert problems == ()

    def test_a_field_without_a_value(self, tmp_path: Path) -> None:
        text = (
            "import threading\nfrom dataclasses import dataclass, field\n\n\n@dataclass\nclass Store:\n"
            "    lock: threading.Lock\n    pods: dict  # racelint: guarded-by(lock)\n\n"
            "    def add(self, name):\n        self.pods[name] = 1\n"
        )
        findings, problems = analysed(tmp_path, app=text)
        assert lines(findings) == [("app.Store.pods", 11)]
        assert problems == ()

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("# racelint: guarded-by(LOCK)\nprint(1)", "guarded-by"),
            ("x = 1\nprint(x)  # racelint: confined", "confined"),
            ("# racelint: requires(LOCK)\nx = 1", "requires"),
            ("# racelint: requires(LOCK)", "requires"),
        ],
    )
    def test_nowhere(self, text: str, kind: str, tmp_path: Path) -> None:
        _, problems = analysed(tmp_path, app=f"{HEAD}{text}\n")
        (problem,) = problems
        assert problem.rule == "malformed-comment"
        assert problem.message.startswith(f"'{kind}' stands at no ")

    def test_two_that_differ(self, tmp_path: Path) -> None:
        text = f"{HEAD}OTHER = threading.Lock()\n"
        text += "P = {}  # racelint: guarded-by(LOCK)\nP = {}  # racelint: guarded-by(OTHER)\n"
        _, problems = analysed(tmp_path, app=text)
        assert [(p.line, p.message) for p in problems] == [(6, "app.P has another contract at app.py:5")]


class TestLocks:
    """How a contract names its lock."""

    def test_one_of_another_module_by_its_full_name(self, tmp_path: Path) -> None:
        text = "PODS = {}  # racelint: guarded-by(op.locks.LOCK)\n\n\ndef add(name):\n    PODS[name] = True\n"
        findings, problems = analysed(tmp_path, op__locks=HEAD, op__store=text)
        assert lines(findings) == [("op.store.PODS", 5)]
        assert problems == ()

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("LOCKK", "no lock is called 'LOCKK' here, did you mean 'LOCK'?"),
            ("PODS", "'PODS' is no lock known here"),
            ("op.LOCK.", "'op.LOCK.' is no name of a lock, such as _lock, self._lock or module.LOCK"),
            ("self._lock", "no lock is called 'self._lock' here"),
            ("\x1b[31m", "'\x1b[31m' is no name of a lock, such as _lock, self._lock or module.LOCK"),
        ],
    )
    def test_no_lock(self, name: str, message: str, tmp_path: Path) -> None:
        text = PLAIN.replace("guarded-by(LOCK)", f"guarded-by({name})")
        findings, problems = analysed(tmp_path, app=text)
        assert lines(findings) == []
        assert [(p.path, p.line, p.rule) for p in problems] == [("app.py", 4, "unknown-lock")]
        assert problems[0].message.startswith(message)

    @pytest.mark.parametrize(
        "metadata", ["GuardedBy", "GuardedBy()", "GuardedBy(LOCK)", "GuardedBy(lock=LOCK)", "GuardedBy('')"]
    )
    def test_no_text(self, metadata: str, tmp_path: Path) -> None:
        text = (
            f"from typing import Annotated\nfrom racelint.annotations import GuardedBy\n{HEAD}"
            f"PODS: Annotated[dict, {metadata}] = {{}}\n"
        )
        _, problems = analysed(tmp_path, app=text)
        assert [(p.line, p.message) for p in problems] == [
            (6, "the name of a lock is missing, or is no text in quotes")
        ]

    @pytest.mark.parametrize("call", ["requires()", "requires(LOCK)", "requires('')"])
    def test_no_text_in_a_decorator(self, call: str, tmp_path: Path) -> None:
        text = f"from racelint.annotations import requires\n{HEAD}@{call}\ndef add(): ...\n"
        _, problems = analysed(tmp_path, app=text)
        assert [(p.line, p.rule) for p in problems] == [(5, "unknown-lock")]

    @pytest.mark.parametrize(
        "metadata",
        [
            "Annotated[dict, GuardedBy(lock='LOCK')]",
            "Annotated[dict, GuardedBy('LOCK')] | None",
            "'Annotated[dict, GuardedBy(\"LOCK\")]'",
        ],
    )
    def test_other_ways_to_write_it(self, metadata: str, tmp_path: Path) -> None:
        text = (
            f"from typing import Annotated\nfrom racelint.annotations import GuardedBy\n{HEAD}"
            f"PODS: {metadata} = {{}}\n\n\ndef add(name):\n    PODS[name] = 1\n"
        )
        findings, problems = analysed(tmp_path, app=text)
        assert lines(findings) == [("app.PODS", 10)]
        assert problems == ()

    def test_confined_with_and_without_brackets(self, tmp_path: Path) -> None:
        head = f"from typing import Annotated\nfrom racelint.annotations import Confined\n{HEAD}"
        use = "\n\ndef add(name):\n    PODS[name] = 1\n"
        for metadata, rules in (("int", ["unguarded-write"]), ("Confined", []), ("Confined()", [])):
            findings, problems = analysed(tmp_path, app=f"{head}PODS: Annotated[dict, {metadata}] = {{}}\n{use}")
            assert [finding.rule for finding in findings] == rules
            assert problems == ()

    def test_a_slip_of_the_pen_is_no_lock_by_its_name(self, tmp_path: Path) -> None:
        text = (
            "class Store:\n    def __init__(self, lock):\n        self._lock = lock\n"
            "        self.pods = {}  # racelint: guarded-by(self._locks)\n"
        )
        _, problems = analysed(tmp_path, app=text)
        assert [(p.line, p.rule) for p in problems] == [(4, "unknown-lock")]

    def test_a_lock_of_unknown_type_is_known_by_its_name(self, tmp_path: Path) -> None:
        text = (
            "class Store:\n    def __init__(self, lock):\n        self._lock = lock\n"
            "        self.pods = {}  # racelint: guarded-by(_lock)\n\n"
            "    def add(self, name):\n        with self._lock:\n            self.pods[name] = 1\n\n"
            "    def drop(self, name):\n        del self.pods[name]\n"
        )
        findings, problems = analysed(tmp_path, app=text)
        assert lines(findings) == [("app.Store.pods", 11)]
        assert problems == ()


class TestRun:
    """What a run makes of contracts."""

    def test_a_contract_that_cannot_be_checked_fails_the_run(self, tmp_path: Path) -> None:
        (tmp_path / "app.py").write_text(PLAIN.replace("guarded-by(LOCK)", "guarded-by(LOKC)"), encoding="utf-8")
        result = check(tmp_path)
        assert result.exit_code == 2
        assert "app.py:4: error[unknown-lock]: no lock is called 'LOKC' here" in result.output

    def test_the_accesses_that_keep_it_are_counted(self, tmp_path: Path) -> None:
        kept = "".join(f"\n\ndef f{n}():\n    with LOCK:\n        PODS.pop({n}, None)\n" for n in range(7))
        findings, _ = analysed(tmp_path, app=PLAIN + kept)
        assert [finding.message for finding in findings] == [
            "PODS: insert without `LOCK`, which guards it by contract (7 of 8 accesses hold it)"
        ]

    def test_an_ignore_silences_it(self, tmp_path: Path) -> None:
        text = PLAIN.replace("= True", "= True  # racelint: ignore[guarded-by] nobody reads it yet")
        findings, problems = analysed(tmp_path, app=text)
        assert [finding.suppressed for finding in findings] == ["nobody reads it yet"]
        assert problems == ()

    def test_without_the_rule_there_is_no_contract(self, tmp_path: Path) -> None:
        text = PLAIN.replace("PODS[name] = True", "if name not in PODS:\n        PODS[name] = True")
        text += "\n\nthreading.Thread(target=add, args=(1,)).start()\nthreading.Thread(target=add, args=(2,)).start()\n"
        findings, _ = analysed(tmp_path, app=text)
        assert {finding.rule for finding in findings} == {"guarded-by"}
        (tmp_path / "racelint.toml").write_text('ignore = ["guarded-by"]\n', encoding="utf-8")
        findings, _ = analysed(tmp_path)
        assert {finding.rule for finding in findings} == {"check-then-act"}

    def test_two_critical_sections_are_a_race_in_spite_of_the_lock(self, tmp_path: Path) -> None:
        text = PLAIN.replace(
            "    PODS[name] = True",
            "    with LOCK:\n        known = name in PODS\n"
            "    if not known:\n        with LOCK:\n            PODS[name] = True",
        )
        text += "\n\nthreading.Thread(target=add, args=(1,)).start()\nthreading.Thread(target=add, args=(2,)).start()\n"
        findings, _ = analysed(tmp_path, app=text)
        assert {finding.rule for finding in findings} == {"check-then-act"}

    def test_a_fix_takes_the_declared_lock_and_no_other(self, tmp_path: Path) -> None:
        text = PLAIN.replace("LOCK = threading.Lock()", "LOCK = threading.Lock()\nOTHER = threading.Lock()")
        text += "\n\ndef drop(name):\n    with OTHER:\n        PODS.pop(name)\n"
        (tmp_path / "app.py").write_text(text, encoding="utf-8")
        assert check(tmp_path, "--fix").exit_code == 0
        fixed = (tmp_path / "app.py").read_text(encoding="utf-8")
        assert "    with LOCK:\n        PODS[name] = True\n" in fixed
        assert fixed.count("with LOCK:") == 2


class TestAnnotations:
    """The module that analysed programs import."""

    def test_it_imports_nothing_else_of_racelint(self) -> None:
        code = (
            "import sys, racelint.annotations\n"
            "print(sorted(m for m in sys.modules if m.split('.')[0] in ('racelint', 'libcst', 'networkx')))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.strip() == "['racelint', 'racelint.annotations']"

    def test_it_changes_nothing(self) -> None:
        class Store:
            pods: Annotated[dict[str, int], GuardedBy("_lock")]
            seen: Annotated[set[str], Confined()]

        def add(name: str) -> str:
            return name

        hints = get_type_hints(
            Store, {"Annotated": Annotated, "GuardedBy": GuardedBy, "Confined": Confined}, include_extras=True
        )
        assert hints["pods"].__metadata__ == (GuardedBy("_lock"),)
        assert hints["seen"].__metadata__ == (Confined(),)
        assert requires("_lock", "LOCK")(add) is add
