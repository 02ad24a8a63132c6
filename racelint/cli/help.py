"""Help in sections: which options belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

OTHER = "Other options"


class Sectioned(click.Command):
    """A command whose help shows its options under titles; options that no section names come last."""

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sections = sections

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        title_of = {name: title for title, names in self.sections.items() for name in names}
        rows: dict[str, list[tuple[str, str]]] = {title: [] for title in (*self.sections, OTHER)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                title = next((title_of[name] for name in parameter.opts if name in title_of), OTHER)
                rows[title].append(record)
        for title, records in rows.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
