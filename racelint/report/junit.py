"""JUnit XML, for build servers that show tests: a finding is a test that fails.

There is no one schema; this is what Jenkins' takes (jenkinsci/xunit-plugin, types/model/xsd/junit-10.xsd), and with it
GitLab, Azure and CircleCI.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from racelint.model.findings import Finding, Result
from racelint.model.source import Problem
from racelint.report.full import render_finding
from racelint.report.text import Sources, keeps_incomplete, location, problem_line, safe, statement
from racelint.select import reported


def render(result: Result, sources: Sources) -> str:
    """One suite. A test fails for each finding that is not suppressed, and has an error for each file that was not
    analysed; when there is neither, one test passes. ASCII only.
    """
    findings = reported(result.findings)
    gaps = [problem for problem in result.problems if keeps_incomplete(problem)]
    numbers = {"tests": str(len(findings) + len(gaps) or 1), "failures": str(len(findings)), "errors": str(len(gaps))}
    suites = ET.Element("testsuites", {"name": "racelint", **numbers})
    suite = ET.SubElement(suites, "testsuite", {"name": "racelint", **numbers})
    for finding in findings:
        _failure(suite, finding, sources)
    for problem in gaps:
        _error(suite, problem)
    if not findings and not gaps:
        ET.SubElement(suite, "testcase", classname="racelint", name="no findings")
    if result.problems:
        ET.SubElement(suite, "system-err").text = "".join(f"{problem_line(problem)}\n" for problem in result.problems)
    ET.indent(suites)
    document: bytes = ET.tostring(suites, encoding="us-ascii", xml_declaration=True)
    return f"{document.decode('ascii')}\n"


def _failure(suite: ET.Element, finding: Finding, sources: Sources) -> None:
    first = finding.sides[0]
    # The name says which finding it is, not where: servers follow a test by it through runs.
    name = f"{finding.rule}: {finding.place} in {first.function}"
    case = ET.SubElement(suite, "testcase", classname=safe(first.path), name=safe(name))
    text = f"{location(first.path, first.line)}: {statement(finding)}"
    ET.SubElement(case, "failure", type=safe(finding.code), message=text).text = render_finding(finding, sources)


def _error(suite: ET.Element, problem: Problem) -> None:
    case = ET.SubElement(suite, "testcase", classname=safe(problem.path), name=safe(problem.rule))
    text = f"{location(problem.path, problem.line)}: {safe(problem.message)}"
    ET.SubElement(case, "error", type=safe(problem.rule), message=text)
