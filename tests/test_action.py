"""The composite action and the workflows: they parse, no input becomes script, and the action's script does its work.

The script is run by bash with the environment that the runner would set. ``pip install`` is answered by a stand-in,
which writes down what it was to install; racelint itself is the one under test.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import racelint

ROOT = Path(racelint.__file__).parent.parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
(STEP,) = ACTION["runs"]["steps"]
RACY = """\
import threading

total = 0


def work():
    global total
    total += 1


for _ in range(3):
    threading.Thread(target=work).start()
"""
# Makes an environment whose python notes what pip is to install and whose racelint is the one under test.
PYTHON = """\
#!/usr/bin/env bash
set -e
[ "$1 $2" = "-m venv" ]
mkdir -p "$3/bin"
printf '#!/usr/bin/env bash\\nprintf "%%s\\\\n" "$@" >"$NOTES"\\n' >"$3/bin/python"
printf '#!/usr/bin/env bash\\nexec "$REAL_PYTHON" -m racelint "$@"\\n' >"$3/bin/racelint"
chmod +x "$3/bin/python" "$3/bin/racelint"
"""


def scripts(node: Any) -> Iterator[str]:
    """Every text below a key ``run``."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "run" and isinstance(value, str):
                yield value
            yield from scripts(value)
    elif isinstance(node, list):
        for item in node:
            yield from scripts(item)


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run of the action's script did."""

    status: int
    stdout: str
    stderr: str
    installed: str


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs the action's step as GitHub's runner does."""

    folder: Path

    @property
    def workspace(self) -> Path:
        """The checkout."""
        return self.folder / "workspace"

    def run(self, **inputs: str) -> Ran:
        """The step with these inputs, and defaults for the others."""
        values = {name: str(spec["default"]) for name, spec in ACTION["inputs"].items()}
        unknown = set(inputs) - {name.replace("-", "_") for name in values}
        assert not unknown
        values |= {name: inputs[name.replace("-", "_")] for name in values if name.replace("-", "_") in inputs}
        known = {f"inputs.{name}": value for name, value in values.items()} | {"github.action_path": str(ROOT)}
        given = {name: re.sub(r"\$\{\{ (.+?) \}\}", lambda m: known[m[1]], text) for name, text in STEP["env"].items()}
        script, notes = self.folder / "script.sh", self.folder / "notes"
        script.write_text(STEP["run"], encoding="utf-8")
        bash = shutil.which("bash")
        assert bash is not None
        done = subprocess.run(
            # https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
            [bash, "--noprofile", "--norc", "-e", "-o", "pipefail", script],
            cwd=self.workspace,
            env={
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "PYTHONPATH": str(ROOT),
                "PYTHONDONTWRITEBYTECODE": "1",
                "RUNNER_TEMP": str(self.folder),
                "REAL_PYTHON": sys.executable,
                "NOTES": str(notes),
                **given,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        installed = notes.read_text("utf-8").split()[-1] if notes.exists() else ""
        return Ran(done.returncode, done.stdout, done.stderr, installed)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A runner with a small racy project checked out."""
    (tmp_path / "bin").mkdir()
    for name in ("python3", "python"):
        (tmp_path / "bin" / name).write_text(PYTHON, encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    made = Runner(tmp_path)
    (made.workspace / ".git").mkdir(parents=True)
    (made.workspace / "counter.py").write_text(RACY, encoding="utf-8")
    return made


@pytest.mark.parametrize("path", [ROOT / "action.yml", *WORKFLOWS], ids=lambda path: path.name)
def test_no_value_becomes_part_of_a_script(path: Path) -> None:
    found = list(scripts(yaml.safe_load(path.read_text("utf-8"))))
    assert found
    for script in found:
        assert "${{" not in script


def test_expressions_in_scripts_are_seen() -> None:
    assert list(scripts({"jobs": {"a": {"steps": [{"run": "x"}, {"uses": "y", "with": {"run": "z"}}]}}})) == ["x", "z"]


def test_every_input_is_described_and_handed_over() -> None:
    for name, spec in ACTION["inputs"].items():
        assert spec["description"]
        assert isinstance(spec["default"], str)
        assert f"${{{{ inputs.{name} }}}}" in STEP["env"].values()
    for variable in STEP["env"]:
        assert f"${variable}" in STEP["run"]


def test_ci_runs_what_must_pass_on_every_version() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    check = workflow["jobs"]["check"]
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    assert check["strategy"]["matrix"]["python"] == re.findall(
        r'"Programming Language :: Python :: (3\.\d+)"', pyproject
    )
    assert list(scripts(check)) == [".ci/run"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_ask_for_no_more_than_they_need(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    asked = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert asked in ({}, {"publish": {"id-token": "write"}})


def test_findings_fail_the_step_and_are_annotated(runner: Runner) -> None:
    ran = runner.run()
    assert (ran.status, ran.stderr) == (1, "")
    assert re.search(
        r"^::error file=counter\.py,line=8,.*title=racelint read-modify-write \(RL103\)::", ran.stdout, re.M
    )
    assert ran.installed == str(ROOT)


def test_findings_may_be_let_through(runner: Runner) -> None:
    ran = runner.run(fail="false")
    assert ran.status == 0
    assert "\n::error " in f"\n{ran.stdout}"


def test_a_version_comes_from_the_index(runner: Runner) -> None:
    assert runner.run(version="1.2.3").installed == "racelint==1.2.3"


def test_paths_options_and_formats_are_handed_over(runner: Runner) -> None:
    (runner.workspace / "a b").mkdir()
    (runner.workspace / "a b" / "harmless.py").write_text("X = 1\n", encoding="utf-8")
    assert runner.run(paths="a b\n\n").status == 0
    assert runner.run(paths="a b\ncounter.py\n").status == 1
    assert runner.run(args="--ignore=read-modify-write\n").status == 0
    assert '"findings"' in runner.run(output_format="json").stdout
    shutil.move(runner.workspace / "counter.py", runner.workspace / "a b" / "counter.py")
    assert "file=a b/counter.py" in runner.run(project="a b").stdout


@pytest.mark.parametrize("name", ["version", "project", "paths", "args", "output_format", "fail"])
@pytest.mark.parametrize(
    "value", ["$(touch run)`touch run`; touch run", "\"; touch run; \"' ; touch run; '\ntouch run"]
)
def test_no_value_is_run(runner: Runner, name: str, value: str) -> None:
    ran = runner.run(**{name: value})
    assert not (runner.workspace / "run").exists()
    assert ran.status == 2


@pytest.mark.parametrize(
    "value", ["racelint @ https://example.org/x.whl", "1.0,<2", "1.0 other", "--index-url=x", "./x"]
)
def test_a_version_is_nothing_else(runner: Runner, value: str) -> None:
    ran = runner.run(version=value)
    assert ran.status == 2
    assert ran.installed == ""
    assert ran.stdout.startswith("::error::racelint: the input 'version'")
