"""The commands that tell what racelint knows: its rules, one rule, and what it takes for concurrent."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from racelint.cli.app import main
from racelint.cli.scope import (
    analyse,
    cache_folder,
    check_rules,
    complete_rules,
    find_scope,
    known_rules,
    scope_options,
)
from racelint.cli.speak import colored, diagnose, internal_errors, is_terminal, write

TABLE_FORMATS = ("text", "json")
FORMAT_HELP = "text: a table; json: for programs."


@main.command()
@scope_options
@click.option("--output-format", type=click.Choice(TABLE_FORMATS), default="text", show_default=True, help=FORMAT_HELP)
def entrypoints(
    paths: tuple[Path, ...],
    project: Path | None,
    config_file: Path | None,
    library: bool | None,
    jobs: int | None,
    cache_dir: Path | str | None,
    no_cache: bool,
    no_color: bool,
    verbose: bool,
    output_format: str,
) -> None:
    """List what runs concurrently, where that is said, and why.

    PATHS limit the list to what becomes concurrent in them (default: everything).
    """
    scope = find_scope(
        paths, project, config_file, {"library": library, "jobs": jobs}, cache_folder(cache_dir, no_cache)
    )
    from racelint import select

    with internal_errors(scope.project, verbose):
        result = analyse(scope)
        found = select.entry_points(result, scope.inside)
        if output_format == "json":
            from racelint.report import json

            text = json.render_entry_points(found)
        else:
            from racelint.report import entry_points

            text = entry_points.render(found, color=not no_color and colored(sys.stdout))
    diagnose(result)
    write(text, None)


@main.command()
@click.argument("rule", shell_complete=complete_rules)
def explain(rule: str) -> None:
    """Explain RULE (a name or code, in any case): what it reports, why that is a bug, how to mend it.

    `racelint rules` lists them.
    """
    rules = known_rules()
    by_name = {name.lower(): known for known in rules for name in (known.name, known.code)}
    wanted = by_name.get(rule.lower())
    if wanted is None:
        check_rules([rule], rules, "RULE")  # raises, with the nearest name
        return
    text = wanted.documentation()
    if not is_terminal(sys.stdout):
        write(text, None)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console(no_color=not colored(sys.stdout)).print(Markdown(text))


@main.command("rules")
@click.option("--output-format", type=click.Choice(TABLE_FORMATS), default="text", show_default=True, help=FORMAT_HELP)
def list_rules(output_format: str) -> None:
    """List the rules: code, name, severity, and what they report."""
    rules = known_rules()
    if output_format == "json":
        import json

        fields = ("name", "code", "severity", "summary", "cwe", "since")
        table = [{field: getattr(rule, field) for field in fields} for rule in rules]
        write(json.dumps({"version": 1, "rules": table}, indent=2) + "\n", None)
        return
    width = max(len(rule.name) for rule in rules)
    lines = [f"{rule.code}  {rule.name:<{width}}  {rule.severity:<7}  {rule.summary}\n" for rule in rules]
    write("".join(lines), None)
