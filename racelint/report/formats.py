"""The report formats by name: what each needs, and which one a build server reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from racelint.model.findings import OutputFormat

if TYPE_CHECKING:
    from racelint.model.findings import Result
    from racelint.report.text import Sources


@dataclass(frozen=True, slots=True)
class Style:
    """How a report for people looks."""

    color: bool = False
    verbose: bool = False
    width: int | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """One format: the module in this package that renders it, and what that takes.

    ``style`` names the parts of a Style it knows. ``counts``: ``--statistics`` shows numbers in its place. ``edits``:
    it shows the edits of fixes, which are worked out for it. ``checkout``: it is read by something that knows files by
    their paths from the root of the checkout, so its paths count from there and not from the project.
    """

    module: str
    style: tuple[str, ...] = ()
    counts: bool = False
    edits: bool = False
    checkout: bool = False

    def render(self, result: Result, sources: Sources, style: Style) -> str:
        """The report."""
        # Imported by name, so that only the format that is wanted is loaded.
        renderer = import_module(f"{__package__}.{self.module}").render
        text: str = renderer(result, sources, **{name: getattr(style, name) for name in self.style})
        return text


FORMATS: Mapping[OutputFormat, Format] = MappingProxyType(
    {
        "full": Format("full", style=("color", "verbose", "width"), counts=True),
        "concise": Format("concise", style=("color",), counts=True),
        "json": Format("json", edits=True),
        "sarif": Format("sarif", edits=True, checkout=True),
        "github": Format("github", checkout=True),
        "gitlab": Format("gitlab", checkout=True),
        "junit": Format("junit", checkout=True),
        "azure": Format("azure", checkout=True),
        "rdjson": Format("rdjson", edits=True, checkout=True),
        "markdown": Format("markdown", checkout=True),
    }
)
STATISTICS = Format("statistics", style=("color",))


def resolve(name: OutputFormat, environment: Mapping[str, str]) -> OutputFormat:
    """The format that ``auto`` stands for in this environment; any other name is itself.

    GitHub and Azure read findings from the log and set a variable that says so:
    https://docs.github.com/actions/reference/workflows-and-actions/variables and
    https://learn.microsoft.com/azure/devops/pipelines/build/variables. GitLab reads a file that the job declares as an
    artifact, so its log stays for people.
    """
    if name != "auto":
        return name
    if environment.get("GITHUB_ACTIONS") == "true":
        return "github"
    if environment.get("TF_BUILD", "").lower() == "true":
        return "azure"
    return "full"
