"""The group of commands, its exit status, and what all of them answer to."""

from __future__ import annotations

import sys
from typing import Any

import click

from racelint import __version__
from racelint.cli.speak import FAILED, INTERRUPTED

# Asks for completion instead of a run, whatever name racelint was started by; the scripts for shells set it.
COMPLETE_VARIABLE = "_RACELINT_COMPLETE"


class Group(click.Group):
    """A group whose interruption is no finding: exit status 1 is kept for those."""

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
