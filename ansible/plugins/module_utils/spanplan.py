# Copyright (c) 2026 the spanplan authors
# MIT License (see LICENSE)
"""Calls spanplan, and reads its JSON and its exit status; never a text that is meant for people."""

from __future__ import annotations

import json
import re

# Of the documents that spanplan prints. Within a major version, keys are only added.
FORMAT_MAJOR = "1"
STDIN = "/dev/stdin"

# What each exit status means for a task.
EXITS = {
    1: "Nothing was changed",
    4: "Failed, and could not be rolled back or verified completely",
    5: "Failed, and everything was rolled back",
    # The modules write the command line, not the user: it fits each spanplan that is as new as they are.
    64: "This spanplan does not know what the module asks of it. Install a spanplan that is as new as the collection",
    65: "The file is invalid",
    70: "This is a bug in spanplan",
    75: "The host is locked, and lock_timeout is over",
    77: "A right is missing. The module needs root: become: true",
    130: "spanplan was interrupted, and rolled back what it had done",
    143: "spanplan was ended, and rolled back what it had done",
}

_UNITS = (("h", 3600.0), ("m", 60.0), ("s", 1.0), ("ms", 0.001))
_NUMBER = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile(r"(?=.)(?:{0}h)?(?:{0}m(?!s))?(?:{0}s)?(?:{0}ms)?\Z".format(_NUMBER))


class Failure(Exception):
    """What spanplan cannot do: the message and the keys of the module's result."""

    def __init__(self, msg: str, **result: object) -> None:
        super().__init__(msg)
        self.result = dict(result, msg=msg)


class Answer:
    """What one call of spanplan gave: its exit status, and the objects that it printed."""

    def __init__(self, status: int, documents: list[dict], stderr: str) -> None:
        self.status = status
        self.documents = documents
        self.stderr = stderr

    def of_type(self, *types: str) -> list[dict]:
        """Gives the objects that have one of these types, in order."""
        return [document for document in self.documents if document.get("type") in types]

    @property
    def errors(self) -> list[dict]:
        """The diagnostics of what went wrong."""
        return [error for document in self.of_type("error") for error in document.get("errors", [])]


def call(module, argv: list[str], text: str | None = None) -> Answer:
    """Calls spanplan.

    :param module: an AnsibleModule that has the option executable.
    :param text: for its stdin.
    :raises Failure: there is no spanplan.
    """
    executable = module.params["executable"]
    path = module.get_bin_path(executable)
    if path is None:
        raise Failure(
            "{0} is not on this host, or not in the PATH. The role spanplan.spanplan.spanplan installs it".format(
                executable
            )
        )
    # run_command takes an empty text for none, and spanplan would wait for what the connection has as stdin.
    data = "\n" if text == "" else text
    environment = {"LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
    status, stdout, stderr = module.run_command(
        [path] + argv, data=data, binary_data=True, environ_update=environment
    )
    return Answer(status, _read_documents(stdout), stderr)


def ask(module, argv: list[str], text: str | None = None) -> Answer:
    """Calls a command of spanplan that only reads, and always prints JSON.

    run_command loses all that a program prints if a second has just passed without output and the program ends in that
    moment, as on a busy host: it takes the end for the end of the output. So an answer without a word is asked for again.

    :raises Failure: there is no spanplan.
    """
    answer = call(module, argv, text)
    is_lost = not answer.documents and not answer.stderr
    return call(module, argv, text) if is_lost else answer


def _read_documents(stdout: str) -> list[dict]:
    """Reads one JSON object a line. What is no object is left out: then the exit status says enough."""
    documents = []
    for line in stdout.splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict):
            documents.append(document)
    return documents


def check(answer: Answer, text: str | None = None, allowed: tuple[int, ...] = (0,)) -> Answer:
    """Gives the answer again, if its exit status is one of those allowed.

    :param text: what spanplan was given as its stdin.
    :raises Failure: with what went wrong, and where.
    """
    if answer.status in allowed:
        return answer
    meaning = EXITS.get(answer.status, "spanplan ended with the exit status {0}".format(answer.status))
    lines = [describe(error, text) for error in answer.errors]
    result = {"errors": answer.errors, "exit": answer.status}
    if not lines:
        # It printed no JSON, and what it printed instead is for people.
        result["stderr"] = answer.stderr
    raise Failure("\n".join([meaning + (":" if lines else ".")] + lines), **result)


def check_format(document: dict) -> dict:
    """Gives a document of spanplan again, if its format is one that this collection reads.

    :raises Failure: it has another major version.
    """
    found = str(document.get("format_version", "none"))
    if found.partition(".")[0] != FORMAT_MAJOR:
        raise Failure(
            "spanplan {0} on this host writes JSON of format_version {1}; this collection reads {2}.x. "
            "Nothing was changed. Install a collection and a spanplan that belong together".format(
                document.get("spanplan_version", "(unknown)"), found, FORMAT_MAJOR
            ),
            format_version=found,
        )
    return document


def describe(diagnostic: dict, text: str | None = None) -> str:
    """Gives a diagnostic as file:line:column, message and hint; of stdin, which nobody can open, with the line itself."""
    origin = diagnostic.get("origin")
    message = diagnostic["message"]
    lines = []
    if origin:
        is_stdin = origin["file"] == STDIN
        place = (("spec" if is_stdin else origin["file"]), str(origin["line"]), str(origin["column"]))
        message = ":".join(place) + ": " + message
        if is_stdin and text is not None:
            lines = _quote(text, origin)
    hint = diagnostic.get("hint")
    return "\n".join([message] + lines + (["  " + hint] if hint else []))


def _quote(text: str, origin: dict) -> list[str]:
    rows = text.splitlines()
    if not 0 < origin["line"] <= len(rows):
        return []
    return ["  | " + rows[origin["line"] - 1], "  | " + " " * (origin["column"] - 1) + "^"]


def read_duration(text: str) -> float:
    """Gives the seconds of a duration such as 500ms, 30s or 1h30m.

    :raises Failure: it is none.
    """
    found = _DURATION.match(text)
    if found is None:
        raise Failure("{0!r} is no duration: it must have a unit, as in 500ms, 30s, 5m or 1h30m".format(text))
    return sum(float(number) * size for number, (unused, size) in zip(found.groups(), _UNITS) if number)
