"""What build servers make of a log, as their sources say."""

from __future__ import annotations

from dataclasses import dataclass

# Registered with GitHub's runner (actions/runner, ActionCommandManager.cs and the extensions it loads).
GITHUB_COMMANDS = frozenset(
    {
        *("add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice"),
        *("remove-matcher", "save-state", "set-env", "set-output", "stop-commands", "warning"),
    }
)


@dataclass(frozen=True)
class Command:
    """A command as the server understands it."""

    name: str
    properties: dict[str, str]
    data: str


def github_commands(log: str) -> list[Command]:
    """The commands that GitHub's runner finds (actions/runner, ActionCommand.cs: TryParseV2, then TryParse)."""
    found = []
    for line in log.split("\n"):
        stripped = line.lstrip()
        info, separator, data = stripped[2:].partition("::")
        if stripped.startswith("::") and separator and info.split(" ")[0] in GITHUB_COMMANDS:
            found.append(_command(info, data, ",", {"%0D": "\r", "%0A": "\n"}, {"%3A": ":", "%2C": ","}, "%25"))
            continue
        info, separator, data = line.partition("##[")[2].partition("]")
        if separator and info.split(" ")[0] in GITHUB_COMMANDS:
            found.append(Command(info, {}, data))
    return found


def azure_commands(log: str) -> list[Command]:
    """The commands that the agent of Azure Pipelines finds (azure-pipelines-agent, Command.cs: TryParse)."""
    found = []
    for line in log.split("\n"):
        info, separator, data = line.partition("##vso[")[2].partition("]")
        if separator and len([part for part in info.split(" ")[0].split(".") if part]) == 2:
            escapes = {"%3B": ";", "%0D": "\r", "%0A": "\n", "%5D": "]"}
            found.append(_command(info, data, ";", escapes, {}, "%AZP25"))
    return found


def _command(
    info: str, data: str, between: str, escapes: dict[str, str], of_properties: dict[str, str], percent: str
) -> Command:
    def unescape(text: str, mapping: dict[str, str]) -> str:
        for escape, char in mapping.items():
            text = text.replace(escape, char)
        return text.replace(percent, "%")

    name, _, properties = info.partition(" ")
    pairs = [pair.partition("=") for pair in properties.strip().split(between) if pair]
    values = {key: unescape(value, {**escapes, **of_properties}) for key, _, value in pairs}
    return Command(name, values, unescape(data, escapes))
