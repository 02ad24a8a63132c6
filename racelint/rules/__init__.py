"""Rules: one module and one ``.md`` each. A rule phrases races as findings; it never walks syntax.

The ``.md`` is the documentation, the text of ``racelint explain`` and an executed test. Modules are found by walking
this package, so adding a rule is adding two files (and a line in the changelog).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module, resources
from pkgutil import iter_modules

from racelint.analysis.program import Program
from racelint.model.findings import Finding, Severity
from racelint.rules.phrasing import Phrasing

Check = Callable[[Program, Phrasing], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its kebab-case ``name``, its stable ``code``, what it says in one line, and how grave it is.

    ``cwe``: numbers of the Common Weakness Enumeration. ``since``: the version that brought it.
    """

    name: str
    code: str
    summary: str
    severity: Severity
    cwe: tuple[int, ...]
    since: str
    check: Check

    def documentation(self) -> str:
        """The rule's documentation, as Markdown."""
        return resources.files(__package__).joinpath(f"{self.name.replace('-', '_')}.md").read_text("utf-8")


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, by code."""
    found = []
    for module in iter_modules(__path__):
        rule = getattr(import_module(f"{__name__}.{module.name}"), "RULE", None)
        if rule is not None:
            assert isinstance(rule, Rule)
            found.append(rule)
    return tuple(sorted(found, key=lambda rule: rule.code))
