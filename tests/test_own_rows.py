"""Rows of the configuration: the same format as racelint's own tables, for every kind of row, and the same effect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from racelint.cli import main

SHOP = """
import threading

import shop

stock = {}


def _count(name):
    if name not in stock:
        stock[name] = object()


"""
ENTRY = """
[[entry]]
form = "call"
name = ["shop.on_order"]
function = { position = 0 }
context = "pool"
self_overlap = "yes"
why = "shop calls it for each order, many at the same time"
"""
# Rows, the program, and whether a race is found in it.
CASES = {
    "no row": ("", "shop.on_order(_count)", False),
    "entry": (ENTRY, "shop.on_order(_count)", True),
    "guard": (
        ENTRY + '[[guard]]\nname = ["shop.Till"]\nwhy = "a till is used by one at a time"\n',
        "till = shop.Till()\n\ndef sell(name):\n    with till:\n        _count(name)\n\nshop.on_order(sell)",
        False,
    ),
    "guard that is none": (
        ENTRY + '[[guard]]\nname = ["shop.Till"]\nprocess_only = true\nwhy = "a till keeps out other shops only"\n',
        "till = shop.Till()\n\ndef sell(name):\n    with till:\n        _count(name)\n\nshop.on_order(sell)",
        True,
    ),
    "guard_decorator": (
        ENTRY
        + '[[guard_decorator]]\nname = ["shop.alone"]\nper_instance = true\nwhy = "alone lets in one at a time"\n',
        "@shop.alone\ndef sell(name):\n    _count(name)\n\nshop.on_order(sell)",
        False,
    ),
    "polled": (
        '[[polled]]\nname = ["shop.later"]\nfunction = { position = 0 }\n'
        'runs = ["shop.work"]\nwhy = "work does what waits"\n',
        "shop.later(_count)\n\ndef run():\n    shop.work()\n\n"
        "for _ in range(2):\n    threading.Thread(target=run).start()",
        True,
    ),
    "consumer": (
        ENTRY + '[[consumer]]\nname = ["shop.show"]\neffect = "iterate"\nwhy = "it walks the stock step by step"\n',
        "def show(name):\n    shop.show(stock)\n    stock.pop(name, None)\n\nshop.on_order(show)",
        True,
    ),
}


def checked(folder: Path, rows: str, code: str) -> list[str]:
    """The rules of the findings of a project with these rows."""
    (folder / "racelint.toml").write_text(rows, encoding="utf-8")
    (folder / "main.py").write_text(SHOP + code + "\n", encoding="utf-8")
    shown = CliRunner().invoke(main, ["check", "--project", str(folder), "--output-format", "json"])
    assert shown.exit_code in (0, 1), shown.output
    return [finding["rule"] for finding in json.loads(shown.stdout)["findings"] if finding["severity"] == "error"]


@pytest.mark.parametrize("name", CASES)
def test_rows_of_users_have_an_effect(name: str, tmp_path: Path) -> None:
    rows, code, racy = CASES[name]
    assert bool(checked(tmp_path, rows, code)) == racy


def test_entry_points_say_which_row_and_table_they_are_from(tmp_path: Path) -> None:
    checked(tmp_path, ENTRY, "shop.on_order(_count)\n\nthreading.Thread(target=_count).start()")
    shown = CliRunner().invoke(main, ["entrypoints", "--project", str(tmp_path), "--output-format", "json"])
    found = {(item["row"], item["table"], item["why"]) for item in json.loads(shown.stdout)["entry_points"]}
    assert found == {
        ("shop.on_order", "configuration", "shop calls it for each order, many at the same time"),
        ("threading.Thread", "threading", "threading.Thread runs its target in a thread of its own"),
    }
    text = CliRunner().invoke(main, ["entrypoints", "--project", str(tmp_path)]).stdout
    assert "configuration: shop.on_order" in text
    assert "threading: threading.Thread" in text


def test_a_row_of_a_user_comes_before_the_shipped_one(tmp_path: Path) -> None:
    row = '[[guard]]\nname = ["threading.Lock"]\nprocess_only = true\nwhy = "locks of this project are no locks"\n'
    code = "lock = threading.Lock()\n\ndef sell(name):\n    with lock:\n        _count(name)\n\nshop.on_order(sell)"
    assert not checked(tmp_path, ENTRY, code)
    assert checked(tmp_path, ENTRY + row, code)
