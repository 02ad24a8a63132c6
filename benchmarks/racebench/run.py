"""racebench: real race bugs, the release that had each and the release that fixed it.

``python -m benchmarks.racebench.run`` fetches the releases (cached), runs racelint on both trees of each bug and prints:
hit (a finding with a side in the bug's file within 3 lines of a listed line), named (a hit about the bug's variable),
quiet (no finding of that rule about that variable in that file on the fixed release), findings per 1,000 lines, seconds.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click

from benchmarks.releases import DEFAULT_CACHE, FetchError, fetch

HERE = Path(__file__).parent
NEAR = 3


@dataclass
class Score:
    """What one bug's two runs gave."""

    id: str
    kind: str
    hit: bool = False
    named: bool = False
    quiet: bool | None = None
    rule: str = ""
    per_1000: float = 0.0
    errors_per_1000: float = 0.0
    seconds: float = 0.0
    note: str = ""
    hits: list[str] = field(default_factory=list)


def variable_names(text: str) -> frozenset[str]:
    """The last names of a bug's variables: ``Client._last_mid (int)`` is ``last_mid``."""
    found = set()
    for part in re.split(r"[/,;]| and | with ", re.sub(r"\(([^)]*)\)", r" / \1 ", text)):
        words = re.findall(r"[A-Za-z_][\w.]*(?:\[[^\]]*\])?", part)
        for word in words:
            last = re.sub(r"\[.*", "", word).rpartition(".")[2].strip("_")
            if last and (("." in word or "_" in word) or len(words) == 1):
                found.add(last)
    if not found:
        words = re.findall(r"[A-Za-z_]\w*", text)
        found.update(word.strip("_") for word in words[-1:])
    return frozenset(found)


def plain_place(place: str) -> str:
    """The last component of a place, without leading underscores and name mangling."""
    last = re.sub(r"\[.*", "", place).rpartition(".")[2]
    mangled = re.match(r"_[A-Z]\w*?__(\w+)", last)
    return (mangled.group(1) if mangled else last).strip("_")


def near(side: dict[str, Any], file: str, lines: list[int]) -> bool:
    """Whether a side lies in the bug's file within NEAR lines of a listed line."""
    path = side["path"].removeprefix("src/")
    first, last = side["line"] - NEAR, max(side.get("end_line") or 0, side["line"]) + NEAR
    return path == file.removeprefix("src/") and any(first <= line <= last for line in lines)


def judge(bug: dict[str, Any], buggy: dict[str, Any], fixed: dict[str, Any] | None) -> Score:
    """Score one bug from the two JSON reports."""
    names = variable_names(bug["variable"])
    score = Score(bug["id"], bug["kind"])
    shown = [f for f in buggy["findings"] if not f["suppressed"]]
    hits = [f for f in shown if any(near(side, bug["file"], bug["lines"]) for side in f["sides"])]
    named = [f for f in hits if plain_place(f["place"]) in names]
    score.hit, score.named = bool(hits), bool(named)
    score.hits = [f"{f['rule']} {f['place']} {f['sides'][0]['path']}:{f['sides'][0]['line']}" for f in hits]
    kilo = max(buggy["summary"]["lines"], 1) / 1000
    score.per_1000 = len(shown) / kilo
    score.errors_per_1000 = sum(f["severity"] == "error" for f in shown) / kilo
    if named:
        score.rule = named[0]["rule"]
        rules = {f["rule"] for f in named}
        if fixed is not None:
            file = bug["file"].removeprefix("src/")
            score.quiet = not any(
                f["rule"] in rules
                and plain_place(f["place"]) in names
                and any(side["path"].removeprefix("src/") == file for side in f["sides"])
                for f in fixed["findings"]
                if not f["suppressed"]
            )
    return score


def run_racelint(command: str, tree: Path, library: bool) -> dict[str, Any]:
    """The JSON report of one tree. Raises RuntimeError when racelint did not deliver one."""
    arguments = [*shlex.split(command), "check", "--project", str(tree), "--output-format", "json", "--exit-zero", str(tree)]
    if library:
        arguments.append("--library")
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()[-300:]}") from None
    return report


def tree_of(bug: dict[str, Any], which: str, cache: Path) -> Path:
    """The tree to analyse: the release, or a combination with what the bug says lies beside it."""
    return fetch(bug["package"], bug[f"{which}_version"], cache)


def score_bug(bug: dict[str, Any], cache: Path, command: str) -> Score:
    """Fetch, run and judge one bug; what goes wrong is noted in the score."""
    started = time.monotonic()
    library = not bug["internally_threaded"]
    try:
        buggy = run_racelint(command, tree_of(bug, "buggy", cache), library)
        fixed = run_racelint(command, tree_of(bug, "fixed", cache), library)
        score = judge(bug, buggy, fixed)
    except (FetchError, RuntimeError) as error:
        score = Score(bug["id"], bug["kind"], note=str(error))
    score.seconds = time.monotonic() - started
    return score


def table(scores: list[Score]) -> str:
    """The printed report."""
    lines = [f"{'bug':38} {'kind':24} hit named quiet  /kloc err/kloc     s"]
    for s in scores:
        mark = {True: "yes", False: "no", None: "-"}
        lines.append(
            f"{s.id:38} {s.kind:24} {mark[s.hit]:3} {mark[s.named]:5} {mark[s.quiet]:5} "
            f"{s.per_1000:6.2f} {s.errors_per_1000:8.2f} {s.seconds:5.1f} {s.rule} {s.note}".rstrip()
        )
    total, hit, named = len(scores), sum(s.hit for s in scores), sum(s.named for s in scores)
    quiet = sum(bool(s.quiet) for s in scores if s.named)

    def share(part: int, whole: int) -> str:
        return f"{part}/{whole} ({100 * part / whole:.0f} %)" if whole else "0/0"

    lines.append(f"hit {share(hit, total)}  named {share(named, total)}  quiet {share(quiet, named)} of named")
    return "\n".join(lines)


@click.command()
@click.option("--model", type=click.Choice(["threads", "asyncio", "all"]), default="threads", show_default=True)
@click.option("--only", multiple=True, help="Score these bugs only (id).")
@click.option("--cache", type=click.Path(path_type=Path), default=DEFAULT_CACHE, help="Where releases are kept.")
@click.option("--jobs", default=2, show_default=True)
@click.option("--racelint", "command", default=f"{sys.executable} -m racelint", help="The racelint to run.")
@click.option("--json", "output", type=click.Path(path_type=Path), help="Also write the scores as JSON.")
@click.option("--verbose", is_flag=True, help="Print the hits of each bug.")
def main(
    model: str, only: tuple[str, ...], cache: Path, jobs: int, command: str, output: Path | None, verbose: bool
) -> None:
    """Score racelint on real bugs."""
    bugs = json.loads((HERE / "bugs.json").read_text("utf-8"))
    chosen = [b for b in bugs if (model == "all" or b["model"] == model) and (not only or b["id"] in only)]
    with ThreadPoolExecutor(jobs) as pool:
        scores = list(pool.map(lambda bug: score_bug(bug, cache, command), chosen))
    click.echo(table(scores))
    if verbose:
        for score in scores:
            for line in score.hits:
                click.echo(f"{score.id}: {line}")
    if output is not None:
        output.write_text(json.dumps([asdict(score) for score in scores], indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
