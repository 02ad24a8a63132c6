"""Issues of Azure Pipelines: logging commands, one a line.

The form is that of https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands (task.logissue, which
knows errors and warnings only); the escapes are those that the agent takes back, as written there under "Formatting
commands".
"""

from __future__ import annotations

from racelint.model.findings import Finding, Result, Severity
from racelint.model.source import Problem
from racelint.report.text import Sources, problem_severity, safe, statement, summary
from racelint.select import gravest_first


def render(result: Result, sources: Sources | None = None) -> str:
    """The findings that are not suppressed, gravest first, the problems, and the summary line."""
    lines = [
        *(_finding(finding) for finding in gravest_first(result.findings)),
        *(_problem(problem) for problem in result.problems),
        summary(result),
    ]
    return "".join(f"{line}\n" for line in lines)


def _finding(finding: Finding) -> str:
    side = finding.sides[0]
    where: dict[str, str | int] = {"sourcepath": safe(side.path), "linenumber": side.line, "columnnumber": side.column}
    return _issue(finding.severity, where, f"{finding.code} {finding.rule}", statement(finding))


def _problem(problem: Problem) -> str:
    where: dict[str, str | int] = {"sourcepath": safe(problem.path)}
    if problem.line:
        where["linenumber"] = problem.line
    return _issue(problem_severity(problem), where, problem.rule, safe(problem.message))


def _issue(severity: Severity, where: dict[str, str | int], code: str, text: str) -> str:
    kind = "error" if severity == "error" else "warning"
    properties = {"type": kind, **where, "code": safe(code)}
    written = "".join(f"{name}={_property(str(value))};" for name, value in properties.items())
    return f"##vso[task.logissue {written}]{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%AZP25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace("]", "%5D").replace(";", "%3B")
