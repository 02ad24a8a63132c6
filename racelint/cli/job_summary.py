"""The summary of a GitHub Actions job: where findings are read that the annotations have no room for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from racelint.cli.speak import say

if TYPE_CHECKING:
    from racelint.model.findings import Result
    from racelint.report.text import Sources

# What the runner takes from one step; of more it takes nothing ("$GITHUB_STEP_SUMMARY upload aborted, supports content
# up to a size of 1024k"): https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands.
SUMMARY_BYTES = 1024 * 1024


def append(result: Result, sources: Sources, path: str | None) -> None:
    """Append what was found to the summary file that the runner names; a run without findings adds nothing.

    A file that cannot be written is said on standard error: the report itself is out already.
    """
    if not path or not (result.findings or result.problems):
        return
    from racelint.report import markdown

    try:
        room = SUMMARY_BYTES - (os.path.getsize(path) if os.path.exists(path) else 0)
        text = markdown.render(result, sources, limit=room - 1)
        if len(text.encode()) < room:
            with open(path, "a", encoding="utf-8", newline="\n") as file:
                file.write(f"\n{text}")
        else:
            say("the job summary is full; nothing was added to it")
    except OSError as error:
        say(f"cannot write the job summary {path}: {error.strerror or error}")
