"""The JSON schema of the configuration and the code that reads it say the same about every configuration."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import test_config
from hypothesis import given
from hypothesis import strategies as st

from racelint import config
from racelint.config_schema import schema
from racelint.frameworks.schema import Tables, builtin
from racelint.rules import all_rules

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - exercised on 3.10 only
    import tomli as tomllib

RULES = [name for rule in all_rules() for name in (rule.name, rule.code)]
VALIDATOR = jsonschema.Draft202012Validator(schema())
MISTAKES: list[tuple[str, str]] = test_config.test_mistakes_name_file_line_and_key.pytestmark[0].args[1]  # type: ignore[attr-defined]
ROW = '[[guard]]\nname = ["a"]\nwhy = "b"\n'


def is_loaded(text: str) -> bool:
    """Whether racelint takes a configuration."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / config.CONFIG_NAME).write_text(text, encoding="utf-8")
        try:
            config.load(Path(folder))
        except config.ConfigError:
            return False
    return True


def parsed(text: str) -> dict[str, Any] | None:
    """The content of a TOML text; None when it is none."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def test_it_follows_its_draft() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.Draft202012Validator.check_schema(schema(RULES))


def test_the_mistakes_are_those_of_the_other_tests() -> None:
    assert len([text for text, _ in MISTAKES if parsed(text) is not None]) > 20


@pytest.mark.parametrize("text", [text for text, _ in MISTAKES if parsed(text) is not None])
def test_mistakes_are_mistakes_for_both(text: str) -> None:
    assert not is_loaded(text)
    assert not VALIDATOR.is_valid(parsed(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        'select = ["check-then-act", "RL101"]\nignore = []\nmin-severity = "note"\nfail-on = "error"\n',
        'min-confidence = "low"\nlibrary = true\ninclude-tests = true\nexclude = ["/vendor"]\njobs = 3\n',
        '[[entrypoints]]\nfunction = "op.größe.step"\ncontext = "pool"\nself_overlap = false\nwhy = "x"\n',
        f'{ROW}wraps = {{ position = 0 }}\nacquire = ["lock"]\n{ROW}',
        '[[container]]\nname = ["a"]\nwhy = "b"\nmethods = { get = "read" }\n',
    ],
)
def test_what_is_right_is_right_for_both(text: str) -> None:
    assert is_loaded(text)
    VALIDATOR.validate(parsed(text))


@pytest.mark.parametrize(
    "text",
    [
        '[[container]]\nname = ["a"]\nwhy = "b"\nmethods = { get = "reads" }\n',
        f"{ROW}wraps = {{ positions = 0 }}\n",
        f'{ROW}wraps = {{ position = "0" }}\n',
        f"{ROW}reentrant = 1\n",
        '[[entry]]\nform = "call"\nname = ["a.b"]\ncontext = "threads"\nwhy = "x"\n',
        '[[entrypoints]]\nfunction = "a b.c"\ncontext = "any"\n',
    ],
)
def test_what_is_wrong_is_wrong_for_both(text: str) -> None:
    assert not is_loaded(text)
    assert not VALIDATOR.is_valid(parsed(text))


# Not floats: to JSON Schema 1.0 is a whole number (draft 2020-12, 6.1.1).
VALUES = st.recursive(
    st.one_of(
        st.sampled_from(["note", "warning", "error", "low", "RL101", "a.b", "thread", ""]),
        st.integers(-1, 2),
        st.booleans(),
    ),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "why", "context", "function"]), inner)
    ),
    max_leaves=4,
)


@given(
    st.dictionaries(
        st.sampled_from([*config.KEYS, "entrypoints", *Tables.__struct_fields__, "other"]), VALUES, max_size=2
    )
)
def test_both_judge_alike(data: dict[str, Any]) -> None:
    text = "".join(f"{key} = {toml(value)}\n" for key, value in data.items())
    assert parsed(text) == data
    assert is_loaded(text) == VALIDATOR.is_valid(data)


def toml(value: Any) -> str:
    """A value as TOML, without headers."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    return f'"{value}"' if isinstance(value, str) else str(value)


def test_racelints_own_tables_follow_it() -> None:
    VALIDATOR.validate(msgspec.json.decode(msgspec.json.encode(builtin())))


def test_unknown_rules_are_seen_when_the_rules_are_named() -> None:
    strict = jsonschema.Draft202012Validator(schema(RULES))
    assert strict.is_valid({"select": ["check-then-act", "RL103"]})
    assert not strict.is_valid({"select": ["check-than-act"]})
    assert VALIDATOR.is_valid({"select": ["check-than-act"]})
