"""The command line: the only room that prints, writes files and decides the exit status.

Exit status: 0 when there is nothing to report, 1 for findings at or above ``--fail-on``, 2 when racelint was used
wrongly or failed itself, 130 when it was interrupted. Reports go to standard output, everything about the run to
standard error. Commands and the analysis are imported when they are needed, so that ``--version`` answers at once.
"""

from racelint.cli.app import main

__all__ = ["main"]
