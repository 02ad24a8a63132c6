"""What fixes do to every race in the documentation and every fixture, as diffs kept in golden files.

``python -m pytest tests/test_golden.py --update-golden`` writes them anew; the change is then read in review.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import pytest

from racelint import config, mend, select, testing
from racelint.fix import write
from racelint.mend import Mended

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"
FIXTURES = sorted(path.parent for path in (ROOT / "fixtures").glob("*/expect.txt"))
RACY_CASES = [
    (page.stem, case)
    for page in sorted((ROOT / "racelint" / "rules").glob("*.md"))
    for case in testing.parse(page.read_text(encoding="utf-8"))
    if any(mark.kind == "expect" for mark in case.marks)
]
RACY = [pytest.param(page, case, id=f"{page}-{case.name.rpartition(' / ')[2]}") for page, case in RACY_CASES]
_SECTION = re.compile(r"^=== (.*)\n", re.MULTILINE)


def mended(folder: Path, *, library: bool = False) -> Mended:
    """All fixes for everything that is reported in a folder, unsafe ones too."""
    settings = config.load(folder)
    settings = dataclasses.replace(settings, library=library or settings.library)
    return mend.mend(folder, settings, lambda finding: select.is_grave(finding, settings), unsafe=True)


def described(result: Mended) -> str:
    """What is done and left, and the change itself."""
    lines = [f"{offer.applicability}: {offer.plan.place}: {offer.title}\n" for offer in result.done]
    lines += [f"left: {left.place}: {left.reason}\n" for left in result.left]
    return "".join([*lines, *(write.unified(change) for change in result.changes)])


def sections(path: Path) -> dict[str, str]:
    """The parts of a golden file by their headings."""
    if not path.is_file():
        return {}
    _, *parts = _SECTION.split(path.read_text(encoding="utf-8"))
    return dict(zip(parts[::2], parts[1::2], strict=True))


def compare(path: Path, heading: str, got: str, update: bool) -> None:
    """Hold ``got`` against a part of a golden file, or put it there."""
    known = sections(path)
    if update:
        known[heading] = got
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"=== {name}\n{text}" for name, text in sorted(known.items())), encoding="utf-8")
    assert known.get(heading) == got


def check(folder: Path, golden: Path, heading: str, update: bool, *, library: bool = False) -> None:
    """The fixes of a project are those of the golden file, they compile, and a second run finds nothing to do."""
    result = mended(folder, library=library)
    assert result.done or result.left
    compare(golden, heading, described(result), update)
    write.write_all(result.changes, folder)
    for change in result.changes:
        compile(change.new, change.display, "exec")
    again = mended(folder, library=library)
    assert again.changes == ()
    assert {offer.plan.place for offer in result.done}.isdisjoint(found.place for found in again.before.findings)


@pytest.mark.parametrize(("page", "case"), RACY)
def test_documentation(page: str, case: testing.Case, tmp_path: Path, update_golden: bool) -> None:
    for file in case.files:
        path = tmp_path / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, encoding="utf-8")
    heading = case.name.rpartition(" / ")[2]
    check(tmp_path, GOLDEN / f"{page}.txt", heading, update_golden, library=case.library)


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.name)
def test_fixture(fixture: Path, tmp_path: Path, update_golden: bool) -> None:
    """Silent fixtures have nothing to mend; the others are mended or say why not."""
    shutil.copytree(fixture, tmp_path / "project")
    result = mended(tmp_path / "project")
    if any(finding.suppressed is None for finding in result.before.findings):
        check(tmp_path / "project", GOLDEN / "fixtures.txt", fixture.name, update_golden)
    else:
        assert result.changes == ()


def test_no_golden_part_is_left_over() -> None:
    known = {(page, case.name.rpartition(" / ")[2]) for page, case in RACY_CASES}
    known |= {("fixtures", fixture.name) for fixture in FIXTURES}
    kept = {(path.stem, heading) for path in GOLDEN.glob("*.txt") for heading in sections(path)}
    assert kept <= known
