"""The group of commands, its exit status, and what all of them answer to."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from racelint import __version__
from racelint.cli.speak import FAILED, INTERRUPTED

# Asks for completion instead of a run, whatever name racelint was started by; the scripts for shells set it.
COMPLETE_VARIABLE = "_RACELINT_COMPLETE"
# The commands and the modules of this package that define them: only the one that is wanted is imported.
COMMANDS: Mapping[str, str] = {
    "cache": "cache",
    "check": "check",
    "completion": "setup",
    "entrypoints": "inform",
    "explain": "inform",
    "graph": "graph",
    "init": "setup",
    "rules": "inform",
    "why": "why",
}


class Group(click.Group):
    """A group that imports a command when it is asked for, and whose interruption is no finding.

    Exit status 1 is kept for findings.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, if there is one."""
        if cmd_name in COMMANDS:
            import_module(f"{__package__}.{COMMANDS[cmd_name]}")
        return super().get_command(ctx, cmd_name)

    def all_commands(self) -> dict[str, click.Command]:
        """Every command by its name, all of them imported."""
        context = click.Context(self)
        found = {name: self.get_command(context, name) for name in self.list_commands(context)}
        return {name: command for name, command in found.items() if command is not None}

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            status = super().main(*args, **{"complete_var": COMPLETE_VARIABLE, **kwargs, "standalone_mode": False})
        except click.ClickException as error:
            error.show()
            sys.exit(FAILED)
        except (click.Abort, KeyboardInterrupt):
            sys.exit(INTERRUPTED)
        sys.exit(status if isinstance(status, int) else 0)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="racelint", message="%(prog)s %(version)s")
def main() -> None:
    """Find shared-state races in Python controllers.

    Exit status: 0 nothing to report, 1 findings at or above --fail-on, 2 wrong usage or an internal error.
    """
