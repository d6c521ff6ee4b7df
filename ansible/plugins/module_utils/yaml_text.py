# Copyright (c) 2026 the spanplan authors
# MIT License (see LICENSE)
"""Writes data as YAML, for people to read: a host may have no YAML library."""

from __future__ import annotations

import json
import re

# Every YAML reads these as the string that they are. All other strings are written as JSON.
_PLAIN = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*|(?:\d+(?:h|ms|m|s))+)\Z")
# Older YAML reads these as something else.
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "y", "n", "null"))
# What JSON may hold as it is, and YAML may not.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def write_yaml(value: object) -> str:
    """Gives a mapping, a list or a scalar of JSON as a YAML document, in blocks, that ends with a newline.

    :raises ValueError: a number is not finite.
    """
    return "".join(line + "\n" for line in _lines(value))


def _lines(value: object) -> list[str]:
    if isinstance(value, dict) and value:
        return [line for key, item in value.items() for line in _entry(key, item)]
    if isinstance(value, list) and value:
        return [("  " if index else "- ") + line for item in value for index, line in enumerate(_lines(item))]
    return [_scalar(value)]


def _entry(key: object, item: object) -> list[str]:
    name = _scalar(str(key)) + ":"
    lines = _lines(item)
    if isinstance(item, (dict, list)) and item:
        return [name] + ["  " + line for line in lines]
    return [name + " " + lines[0]]


def _scalar(value: object) -> str:
    if isinstance(value, str) and _PLAIN.match(value) and value.lower() not in _WORDS:
        return value
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if isinstance(value, float) and "." not in text:
        # Older YAML takes 1e+20 for a string.
        return text.replace("e", ".0e")
    return _UNPRINTABLE.sub(lambda found: "\\u%04x" % ord(found.group()), text)
