"""Every example in the documentation of the rules, executed."""

from __future__ import annotations

from pathlib import Path

import pytest

import racelint.rules
from racelint.testing import Case, parse, run_case

DOCUMENTS = sorted(Path(racelint.rules.__file__).parent.glob("*.md"))
CASES = [(document.name, case) for document in DOCUMENTS for case in parse(document.read_text(encoding="utf-8"))]


def test_there_are_documents() -> None:
    assert DOCUMENTS
    assert {document.name for document in DOCUMENTS} == {name for name, _ in CASES}


@pytest.mark.parametrize(("document", "case"), [pytest.param(*item, id=f"{item[0]}:{item[1].line}") for item in CASES])
def test_example(document: str, case: Case, tmp_path: Path) -> None:
    mismatches = run_case(case, tmp_path)
    assert not mismatches, "\n".join([f"{document}: {case.name}", *map(str, mismatches)])
