"""The command line: the only room that prints, writes files and decides the exit status.

Exit status: 0 when there is nothing to report, 1 for findings at or above ``--fail-on``, 2 when racelint was used
wrongly or failed itself, 130 when it was interrupted. Reports go to standard output, everything about the run to
standard error. The analysis is imported when it is needed, so that ``--version`` and ``--help`` answer at once.
"""

from racelint.cli import check, graph, inform, setup, why
from racelint.cli.app import main

__all__ = ["check", "graph", "inform", "main", "setup", "why"]
