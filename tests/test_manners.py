"""What a program asks of its frameworks changes how they call the entry points of a lane."""

from __future__ import annotations

from pathlib import Path

import pytest

from racelint.config import Settings
from racelint.frameworks.schema import builtin
from racelint.pipeline import analyse

TELEGRAM = """
from telegram.ext import ApplicationBuilder, CommandHandler
from games import load

games = {{}}


async def play(update, context):
    if update.chat not in games:
        games[update.chat] = await load(update.chat)


app = ApplicationBuilder().token("t"){asked}.build()
app.add_handler(CommandHandler("play", play))
app.run_polling()
"""

TELETHON = """
from telethon import TelegramClient, events
from games import load

client = TelegramClient("name", 1, "hash"{asked})
games = {{}}


@client.on(events.NewMessage)
async def play(event):
    if event.chat not in games:
        games[event.chat] = await load(event.chat)


client.start()
client.run_until_disconnected()
"""


def found(folder: Path, program: str) -> list[str]:
    """The codes of the findings in a program."""
    (folder / "main.py").write_text(program)
    return [finding.code for finding in analyse(folder, Settings()).findings]


@pytest.mark.parametrize("asked", ["True", "8", "limit()"])
def test_updates_that_are_asked_for_at_once(tmp_path: Path, asked: str) -> None:
    assert found(tmp_path, TELEGRAM.format(asked=f".concurrent_updates({asked})")) == ["RL201"]


@pytest.mark.parametrize("asked", ["", ".concurrent_updates(False)", ".concurrent_updates(concurrent_updates=1)"])
def test_updates_one_after_the_other(tmp_path: Path, asked: str) -> None:
    assert found(tmp_path, TELEGRAM.format(asked=asked)) == []


@pytest.mark.parametrize("asked", ["", ", sequential_updates=False"])
def test_updates_at_once_by_default(tmp_path: Path, asked: str) -> None:
    assert found(tmp_path, TELETHON.format(asked=asked)) == ["RL201"]


def test_updates_that_are_asked_for_in_sequence(tmp_path: Path) -> None:
    assert found(tmp_path, TELETHON.format(asked=", sequential_updates=True")) == []


def test_every_lane_that_is_asked_about_has_entries_and_one_row() -> None:
    lanes = [row.lane for row in builtin().manner]
    assert len(lanes) == len(set(lanes))
    assert set(lanes) <= {row.lane for row in builtin().entry}
    assert all(row.source for row in builtin().manner)
