#!/usr/bin/python
# Copyright (c) 2026 the spanplan authors
# MIT License (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: apply
short_description: Make a host's mirror ports match a file
version_added: 0.1.0
author: The spanplan authors (!UNKNOWN) <authors@spanplan.invalid>
description:
  - Calls C(spanplan plan) and, if something differs, C(spanplan apply). It verifies what it did, and rolls back what fails.
  - RV(ignore:changed) says whether something was done. What only waits, such as a sensor that is not there yet, is returned and changes nothing.
  - The module reads the JSON and the exit statuses of spanplan, and never a text.
requirements:
  - spanplan 0.1 or newer on the host; the role P(spanplan.spanplan.spanplan#role) installs it
  - Python 3.8 or newer on the host, without further libraries
options:
  spec:
    description:
      - What is to be there, as in a C(spans.yaml). A mapping, or the text of a file.
      - spanplan gets it through its stdin, so it needs no file on the host.
    type: raw
  src:
    description:
      - Files or folders on the host that say what is to be there.
      - Without O(spec) and O(src), it is what spanplan reads by itself, C(/etc/spanplan).
    type: list
    elements: path
  dest:
    description:
      - The file that O(spec), or the one file in O(src), becomes once it is applied and verified.
      - It is written completely or not at all. If the apply fails, the file stays as it was.
      - In C(/etc/spanplan), its name has to end in C(.yaml). The other files there count, too, and their spans stay.
    type: path
  rollback_after:
    description:
      - Take the change back after this time, such as V(2m), unless it is confirmed. Needs O(dest).
      - The task resets its connection, and confirms the change over a new one. If the host cannot be reached any more, spanplan on the host takes the change
        back by itself, and the task fails and says what became of it.
      - O(dest) is written after the confirmation. So a reboot before brings the old state back, too.
      - Needs systemd on the host. Does not go with O(wait) or C(async).
      - With the connection C(local), as C(ansible-pull) has it, the host confirms its own change, also if nobody else reaches it any more.
    type: str
  state:
    description:
      - V(present) makes the host match.
      - V(absent) removes all spans of O(name), and gives back what was changed for them. It leaves files and services alone.
    type: str
    choices: [present, absent]
    default: present
  name:
    description: Whose spans are removed by O(state=absent). It is the C(name) in the file.
    type: str
    default: default
  spans:
    description: Only these spans. Does not go with O(dest).
    type: list
    elements: str
  prune:
    description: Whether spans of the same name that are no longer in the file are removed.
    type: bool
    default: true
  adopt:
    description: Whether to take over foreign bridges, networks, qdiscs and mirrors that a span needs.
    type: bool
    default: false
  recreate:
    description:
      - Whether to do what disconnects running sensors, such as another MTU of their network. They may have to be restarted.
      - Without it, that is returned in RV(waiting).
    type: bool
    default: false
  allow_empty:
    description: Whether a file without spans may remove everything that is live.
    type: bool
    default: false
  defer_docker:
    description: Whether to leave networks and sensors for a later run.
    type: bool
    default: false
  wait:
    description:
      - How long to wait for missing sensors, such as V(60s). Without it, they are returned in RV(waiting).
    type: str
  lock_timeout:
    description: How long to wait for another spanplan that changes the host.
    type: str
    default: 30s
  executable:
    description: The name or the path of spanplan on the host.
    type: str
    default: spanplan
attributes:
  check_mode:
    description: Returns what would change, with the same RV(ignore:diff).
    support: full
  diff_mode:
    description: Shows what differs on the host, and in O(dest).
    support: full
  async:
    description: Not with O(rollback_after).
    support: partial
  platform:
    description: Linux.
    support: full
    platforms: linux
seealso:
  - module: spanplan.spanplan.info
"""

EXAMPLES = r"""
- name: Mirror the core switch to Suricata
  become: true
  spanplan.spanplan.apply:
    spec:
      version: 1
      spans:
        span0:
          sources:
            - interface: ens192
              filter: not port 22
          sensors:
            - suricata
    dest: /etc/spanplan/spans.yaml

- name: The same from a file of the repository, taken back unless this host can still be reached
  become: true
  spanplan.spanplan.apply:
    spec: "{{ lookup('ansible.builtin.file', 'spans.yaml') }}"
    dest: /etc/spanplan/spans.yaml
    rollback_after: 2m

- name: Repair what differs from the files in /etc/spanplan
  become: true
  spanplan.spanplan.apply:

- name: Remove every span, and give back what was changed for them
  become: true
  spanplan.spanplan.apply:
    state: absent
"""

RETURN = r"""
changes:
  description:
    - What was done; in check mode, what would be done. The C(changes) of C(spanplan plan --json).
    - Each has an C(address), C(kind), C(span), C(action), C(before), C(after), C(fields), C(facts), C(reason), C(steps), and an C(origin) where there is one.
  returned: success
  type: list
  elements: dict
  sample: [{"address": "span0/bridge", "kind": "bridge", "span": "span0", "action": "create", "reason": "missing"}]
waiting:
  description: What waits, and for what. This is no change.
  returned: success
  type: list
  elements: dict
  sample: [{"code": "SENSOR_MISSING", "kind": "sensor", "span": "span0", "title": "suricata", "message": "waits for the container suricata"}]
plan_warnings:
  description: The warnings of the plan. They are also shown as warnings of the task.
  returned: success
  type: list
  elements: dict
  sample: []
summary:
  description: How many changes of each kind there were, and how many wait.
  returned: success
  type: dict
  sample: {"create": 4, "update": 1, "replace": 0, "remove": 0, "adopt": 0, "wait": 0}
installed:
  description: The file that was written; in check mode, that would be written. Null if it was the same already.
  returned: success, with O(dest)
  type: str
  sample: /etc/spanplan/spans.yaml
window:
  description:
    - "The time in which the change could be confirmed: C(id), C(until), the C(unit) of systemd, and the C(seconds) that were left."
    - Null if nothing was changed that could have cut a line.
  returned: success, with O(rollback_after)
  type: dict
  sample: {"id": "5f0c", "until": "2026-11-26T20:00:00.000Z", "unit": "spanplan-window-5f0c.service", "seconds": 118.4}
earlier_window:
  description: What became of the window of an earlier run that was still open. Unless somebody had just confirmed it, it was taken back.
  returned: success, if there was one
  type: str
  sample: "rolled back: rollback requested"
confirmed:
  description: Whether the change was confirmed over a new connection.
  returned: with O(rollback_after), if there was a window
  type: bool
  sample: true
rolled_back:
  description: Whether what was done was taken back completely. Null if nobody knows.
  returned: failure, if something was done
  type: bool
  sample: true
left:
  description: The addresses of what could not be taken back.
  returned: failure, if something could not be taken back
  type: list
  elements: str
  sample: []
errors:
  description: What went wrong. Each has a C(code), which is stable, a C(message), and where they are known a C(hint), an C(address) and an C(origin) (C(file),
    C(line), C(column)).
  returned: failure
  type: list
  elements: dict
  sample: [{"code": "KEY_UNKNOWN", "message": "unknown key \"direcion\" in span \"span0\"", "origin": {"file": "spans.yaml", "line": 4, "column": 35}}]
exit:
  description: The exit status of spanplan.
  returned: failure
  type: int
  sample: 65
spanplan_version:
  description: The version of spanplan on the host.
  returned: success
  type: str
  sample: 0.1.0
"""

from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.spanplan.spanplan.plugins.module_utils.spanplan import (
    Answer,
    Failure,
    ask,
    call,
    check,
    check_format,
    describe,
    read_duration,
)
from ansible_collections.spanplan.spanplan.plugins.module_utils.yaml_text import write_yaml

HEADER = "# Written by Ansible, module spanplan.spanplan.apply. What is changed here is overwritten.\n"
# About the kernel of the host, and in every plan: spanplan doctor says it. Returned, but no warning of each task.
QUIET_WARNINGS = frozenset(("SEAL_LATE",))
# The plan warns of this; the apply refuses it without --allow-empty.
REMOVES_ALL = "FILE_REMOVES_ALL"

ARGUMENTS = {
    "spec": {"type": "raw"},
    "src": {"type": "list", "elements": "path"},
    "dest": {"type": "path"},
    "rollback_after": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "name": {"type": "str", "default": "default"},
    "spans": {"type": "list", "elements": "str"},
    "prune": {"type": "bool", "default": True},
    "adopt": {"type": "bool", "default": False},
    "recreate": {"type": "bool", "default": False},
    "allow_empty": {"type": "bool", "default": False},
    "defer_docker": {"type": "bool", "default": False},
    "wait": {"type": "str"},
    "lock_timeout": {"type": "str", "default": "30s"},
    "executable": {"type": "str", "default": "spanplan"},
}
# What a task that removes everything does not take.
ONLY_PRESENT = ("spec", "src", "dest", "rollback_after", "spans", "wait")


def main() -> None:
    """Runs the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        mutually_exclusive=[("spec", "src"), ("dest", "spans"), ("rollback_after", "wait")],
        required_by={"rollback_after": "dest"},
        supports_check_mode=True,
    )
    try:
        module.exit_json(**run(module))
    except Failure as failure:
        module.fail_json(**failure.result)


def run(module: AnsibleModule) -> dict:
    """Plans, applies what is planned unless this is check mode, and gives the result."""
    params = module.params
    check_params(params)
    text = find_text(params)
    plan = read_plan(module, text)
    result = describe_plan(module, plan)
    if module._diff:
        result["diff"] = make_diff(params, plan, text)
    # A wait for sensors connects those that come.
    has_work = result["changed"] or bool(params["wait"] and plan["waiting"])
    if module.check_mode:
        check_empty(params, plan)
    elif has_work:
        answer = call(module, apply_arguments(params), text)
        result.update(read_apply(answer, text))
    warn(module, result["plan_warnings"])
    return result


def check_params(params: dict) -> None:
    """Refuses options that do not go together, and durations that are none, before anything is done."""
    if params["state"] == "absent":
        given = [name for name in ONLY_PRESENT if params[name] is not None]
        if given:
            raise Failure("state: absent does not go with: {0}".format(", ".join(given)))
    if params["spec"] is not None and not isinstance(params["spec"], (dict, str)):
        raise Failure("spec must be a mapping, or the text of a file")
    for name in ("rollback_after", "wait", "lock_timeout"):
        if params[name] is not None:
            read_duration(params[name])


def find_text(params: dict) -> str | None:
    """Gives what spanplan gets through its stdin; None if it reads files."""
    if params["state"] == "absent":
        return write_yaml({"version": 1, "name": params["name"], "spans": {}})
    spec = params["spec"]
    return HEADER + write_yaml(spec) if isinstance(spec, dict) else spec


def read_plan(module: AnsibleModule, text: str | None) -> dict:
    """Gives what differs, as spanplan plan --json prints it."""
    answer = check(ask(module, plan_arguments(module.params), text), text)
    if not answer.documents:
        raise Failure("spanplan plan --json printed no JSON", exit=answer.status, stderr=answer.stderr)
    return check_format(answer.documents[0])


def plan_arguments(params: dict) -> list[str]:
    """Gives the arguments that ask for the plan."""
    return ["plan", "--json"] + select(params, ["-"] if params["state"] == "absent" else find_files(params))


def apply_arguments(params: dict) -> list[str]:
    """Gives the arguments that do what was planned."""
    common = ["--json", "--yes", "--lock-timeout=" + params["lock_timeout"]]
    if params["state"] == "absent":
        return ["destroy", "--name=" + params["name"]] + common + (["--defer-docker"] if params["defer_docker"] else [])
    options = [
        ("allow_empty", "--allow-empty"),
        ("rollback_after", "--detach"),
        ("rollback_after", "--rollback-after={0}".format(params["rollback_after"])),
        ("wait", "--wait={0}".format(params["wait"])),
    ]
    return ["apply"] + common + select(params, find_files(params)) + [flag for name, flag in options if params[name]]


def find_files(params: dict) -> list[str]:
    """Gives what -f is given."""
    return ["-"] if params["spec"] is not None else params["src"] or []


def select(params: dict, files: list[str]) -> list[str]:
    """Gives the arguments that a plan and its apply have in common."""
    flags = [
        (not params["prune"], "--no-prune"),
        (params["adopt"], "--adopt"),
        (not params["recreate"], "--no-recreate"),
        (params["defer_docker"], "--defer-docker"),
        (params["dest"], "--install={0}".format(params["dest"])),
    ]
    return (
        ["--file=" + file for file in files]
        + ["--span=" + span for span in params["spans"] or []]
        + [flag for is_given, flag in flags if is_given]
    )


def describe_plan(module: AnsibleModule, plan: dict) -> dict:
    """Gives the result of a task that does what the plan says."""
    result = take_plan(plan)
    install = plan.get("install") or {}
    result["changed"] = bool(plan["changes"] or install.get("changed"))
    if module.params["dest"]:
        result["installed"] = install.get("file") if install.get("changed") else None
    if module.params["rollback_after"]:
        result["window"] = None
    return result


def take_plan(plan: dict) -> dict:
    """Gives of a plan what the module returns."""
    return {
        "changes": plan["changes"],
        "waiting": plan["waiting"],
        "plan_warnings": plan["warnings"],
        "summary": plan["summary"],
        "spanplan_version": plan["spanplan_version"],
    }


def read_apply(answer: Answer, text: str | None) -> dict:
    """Gives what an apply did, from its JSON.

    :raises Failure: it failed; with what became of the change.
    """
    plans = [check_format(plan) for plan in answer.of_type("plan")]
    try:
        check(answer, text)
    except Failure as failure:
        failure.result.update(read_rollback(answer))
        raise
    if not plans:
        raise Failure("spanplan apply --json printed no plan", exit=answer.status, stderr=answer.stderr)
    result = take_plan(plans[-1])
    # With a wait, there is a plan for each time that something came.
    result["changes"] = [change for plan in plans for change in plan["changes"]]
    result["summary"] = {
        action: count if action == "wait" else sum(plan["summary"][action] for plan in plans)
        for action, count in plans[-1]["summary"].items()
    }
    for wait_over in answer.of_type("wait_over"):
        result["waiting"] = wait_over["waiting"]
    installed = answer.of_type("installed")
    windows = [read_window(window) for window in answer.of_type("window")]
    earlier = answer.of_type("window_rolled_back", "window_confirmed")
    result["changed"] = bool(result["changes"] or installed or earlier)
    if earlier:
        result["earlier_window"] = earlier[-1]["message"]
    if windows:
        result["window"] = windows[-1]
    return result


def read_rollback(answer: Answer) -> dict:
    """Gives what is left of an apply that failed: an earlier round of it, with a wait, stays."""
    done = 0
    rolled_back = None
    left = []
    for event in answer.of_type("step_done", "summary", "rolled_back"):
        if event["type"] == "rolled_back":
            rolled_back = event["complete"]
            left = event["left"]
            done -= 1 if event["complete"] and done else 0
        elif event["type"] == "summary":
            done += 1
    is_open = answer.status == 4 or rolled_back is False
    result = {"changed": bool(done or is_open)}
    if rolled_back is not None:
        result["rolled_back"] = rolled_back
    if left:
        result["left"] = left
    return result


def read_window(event: dict) -> dict:
    """Gives the window of an apply that waits for a confirmation, with the seconds that are left by the host's own clock."""
    until = datetime.strptime(event["until"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    left = (until - datetime.now(timezone.utc)).total_seconds()
    return {"id": event["id"], "until": event["until"], "unit": event.get("unit"), "seconds": max(left, 0.0)}


def check_empty(params: dict, plan: dict) -> None:
    """Fails in check mode as the apply would: a file that lost its content by accident removes nothing."""
    warnings = [warning for warning in plan["warnings"] if warning["code"] == REMOVES_ALL]
    if warnings and not is_emptied(params):
        raise Failure(describe(warnings[0]), errors=warnings)


def is_emptied(params: dict) -> bool:
    """Tells whether everything may be removed."""
    return params["allow_empty"] or params["state"] == "absent"


def make_diff(params: dict, plan: dict, text: str | None) -> list[dict]:
    """Gives what differs on the host, and in the file, for people."""
    diffs = []
    if plan["changes"]:
        sides = {side: describe_side(plan["changes"], side) for side in ("before", "after")}
        diffs.append(dict(sides, before_header="live", after_header="desired"))
    install = plan.get("install") or {}
    if install.get("changed"):
        dest = install["file"]
        after = text if text is not None else read_file(params["src"][0])
        diffs.append({"before": read_file(dest), "after": after, "before_header": dest, "after_header": dest})
    return diffs


def describe_side(changes: list[dict], side: str) -> str:
    """Gives the resources as they are, or as they are to be: what spanplan compares, in its words."""
    resources = {}
    for change in changes:
        facts = {fact["label"]: fact[side] for fact in change["facts"] if fact[side] is not None}
        if change[side] is not None:
            resources[change["address"]] = facts
    return write_yaml(resources) if resources else ""


def read_file(path: str) -> str:
    """Gives the text of a file; an empty one if there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def warn(module: AnsibleModule, warnings: list[dict]) -> None:
    """Shows the warnings of the plan, but for what the task asks for."""
    quiet = QUIET_WARNINGS | {REMOVES_ALL} if is_emptied(module.params) else QUIET_WARNINGS
    for warning in warnings:
        if warning["code"] not in quiet:
            module.warn(describe(warning))


if __name__ == "__main__":
    main()
