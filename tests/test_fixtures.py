"""Every project under ``fixtures`` is reported exactly as its ``expect.txt`` says."""

from __future__ import annotations

from pathlib import Path

import pytest

from racelint import config, pipeline
from racelint.testing import expectation_lines, visible

FIXTURES = Path(__file__).parent.parent / "fixtures"
EXPECTATIONS = sorted(FIXTURES.glob("*/expect.txt"))


def expected_lines(text: str) -> list[str]:
    """The findings that an ``expect.txt`` names; lines that start with ``#`` are comments."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("expectation", EXPECTATIONS, ids=lambda path: path.parent.name)
def test_findings(expectation: Path) -> None:
    fixture = expectation.parent
    result = pipeline.analyse(fixture, config.load(fixture))
    assert result.problems == ()
    assert expectation_lines(visible(result.findings)) == expected_lines(expectation.read_text(encoding="utf-8"))


def test_every_fixture_has_an_expectation_a_description_and_code() -> None:
    folders = sorted(path for path in FIXTURES.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
    assert len(folders) >= 12
    for folder in folders:
        for name in ("expect.txt", "README.md", "racelint.toml"):
            assert (folder / name).is_file(), f"{folder.name} has no {name}"
        assert len(list(folder.rglob("*.py"))) >= 3, f"{folder.name} is not made of several files"


def test_submariner_has_one_error_with_both_controllers_on_the_way() -> None:
    fixture = FIXTURES / "submariner"
    result = pipeline.analyse(fixture, config.load(fixture))
    (finding,) = [item for item in visible(result.findings) if item.severity == "error"]
    assert finding.rule == "check-then-act"
    assert finding.place == "submariner_operator.images.logged_images"
    assert finding.confidence == "high"
    side = finding.sides[0]
    source = (fixture / side.path).read_text(encoding="utf-8").splitlines()
    assert side.function == "submariner_operator.images.log_if_changed"
    assert "logged_images.get(" in source[side.line - 1]
    roads = {step.path for each in finding.sides for step in each.trace}
    assert {
        "submariner_operator/controllers/submariner.py",
        "submariner_operator/controllers/servicediscovery.py",
    } <= roads
