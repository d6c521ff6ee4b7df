#!/usr/bin/python
# Copyright (c) 2026 the spanplan authors
# MIT License (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: info
short_description: Tell how a host's mirror ports are
version_added: 0.1.0
author: The spanplan authors (!UNKNOWN) <authors@spanplan.invalid>
description:
  - Returns what C(spanplan status --json) says, with whether something differs from the file and whether all is healthy.
  - It changes nothing. A span that is not healthy is no failure of the task.
requirements:
  - spanplan 0.1 or newer on the host
  - Python 3.8 or newer on the host, without further libraries
options:
  src:
    description:
      - Files or folders on the host that say what is to be there.
      - Without it, it is what spanplan reads by itself, C(/etc/spanplan).
    type: list
    elements: path
  spans:
    description: Only these spans.
    type: list
    elements: str
  duration:
    description: How long frames are counted, such as V(10s). While traffic flows, a small loss shows only after a longer time.
    type: str
    default: 1s
  executable:
    description: The name or the path of spanplan on the host.
    type: str
    default: spanplan
attributes:
  check_mode:
    description: It changes nothing, in check mode or not.
    support: full
  diff_mode:
    description: It changes nothing, so there is nothing to show.
    support: none
  platform:
    description: Linux.
    support: full
    platforms: linux
seealso:
  - module: spanplan.spanplan.apply
"""

EXAMPLES = r"""
- name: Look at the spans
  become: true
  spanplan.spanplan.info:
  register: spans

- name: Stop the rollout where a span is not healthy
  ansible.builtin.assert:
    that: spans.healthy
    fail_msg: "{{ spans.problems | map(attribute='message') | join(', ') }}"
"""

RETURN = r"""
healthy:
  description: Whether nothing is wrong.
  returned: success
  type: bool
  sample: true
drift:
  description: Whether something differs from the file.
  returned: success
  type: bool
  sample: false
problems:
  description: All that is wrong, of each span and of the host. Each has a C(code), a C(message), and where they are known a C(hint), an C(address), an
    C(origin) and the C(span).
  returned: success
  type: list
  elements: dict
  sample: []
waiting:
  description: All that waits, and for what.
  returned: success
  type: list
  elements: dict
  sample: []
frames_lost:
  description: How many frames were lost while the task counted, where somebody was there to get them. Null if nobody can know.
  returned: success
  type: int
  sample: 0
spans:
  description: How each span is, with the way of its frames. The C(spans) of C(spanplan status --json).
  returned: success
  type: list
  elements: dict
  sample: [{"name": "span0", "healthy": true, "drift": false, "paused_until": null}]
watch:
  description: What a watch says of itself. Null if there is none.
  returned: success
  type: dict
  sample: {"name": "default", "pid": 712, "degraded": []}
window:
  description: The window of an apply that waits for its confirmation, with C(id) and C(until). What differs from the file is no problem meanwhile. Null if
    there is none.
  returned: success
  type: dict
  sample: {"id": "04ddacb8", "until": "2026-11-26T20:46:09.540Z"}
unread:
  description: What could not be read, because a right is missing.
  returned: success
  type: list
  elements: dict
  sample: []
spanplan_version:
  description: The version of spanplan on the host.
  returned: success
  type: str
  sample: 0.1.0
errors:
  description: What went wrong. Each has a C(code), which is stable, a C(message), and where they are known a C(hint) and an C(origin).
  returned: failure
  type: list
  elements: dict
  sample: []
exit:
  description: The exit status of spanplan.
  returned: failure
  type: int
  sample: 65
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.spanplan.spanplan.plugins.module_utils.spanplan import (
    Failure,
    ask,
    check,
    check_format,
    read_duration,
)

ARGUMENTS = {
    "src": {"type": "list", "elements": "path"},
    "spans": {"type": "list", "elements": "str"},
    "duration": {"type": "str", "default": "1s"},
    "executable": {"type": "str", "default": "spanplan"},
}
# 2: something is not healthy.
STATUSES = (0, 2)
# Frames that nobody was there to get.
NOT_LOST = frozenset(("no_sensor",))


def main() -> None:
    """Runs the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        module.exit_json(changed=False, **run(module))
    except Failure as failure:
        module.fail_json(**failure.result)


def run(module: AnsibleModule) -> dict:
    """Gives how the spans are."""
    params = module.params
    read_duration(params["duration"])
    argv = ["status", "--json", "--for=" + params["duration"]]
    argv += ["--file=" + file for file in params["src"] or []]
    argv += ["--span=" + span for span in params["spans"] or []]
    answer = check(ask(module, argv), allowed=STATUSES)
    if not answer.documents:
        raise Failure("spanplan status --json printed no JSON", exit=answer.status, stderr=answer.stderr)
    return read_status(check_format(answer.documents[0]))


def read_status(status: dict) -> dict:
    """Gives what the module returns of a status."""
    spans = status["spans"]
    return {
        "healthy": status["healthy"],
        "drift": bool(status["changes"]) or any(span["drift"] for span in spans),
        "problems": status["unhealthy"] + collect(spans, "unhealthy"),
        "waiting": collect(spans, "waiting"),
        "frames_lost": count_lost(spans),
        "spans": spans,
        "watch": status["watch"],
        "window": status.get("window"),
        "unread": status["unread"],
        "spanplan_version": status["spanplan_version"],
    }


def collect(spans: list[dict], key: str) -> list[dict]:
    """Gives the diagnostics of all spans, each with the name of its span."""
    return [dict(one, span=span["name"]) for span in spans for one in span[key]]


def count_lost(spans: list[dict]) -> int | None:
    """Gives the frames that were lost on their way to sensors; None if their number is unknown."""
    losses = [loss for span in spans for hop in span["hops"] for loss in hop["losses"]]
    counts = [loss["frames"] for loss in losses if loss["cause"] not in NOT_LOST]
    return None if None in counts else sum(counts)


if __name__ == "__main__":
    main()
