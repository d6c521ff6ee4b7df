# Copyright (c) 2026 the spanplan authors
# MIT License (see LICENSE)
"""The controller's part of spanplan.spanplan.apply: a change that can cut its own line is confirmed over a new connection."""

from __future__ import annotations

import json
import time

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.spanplan.spanplan.plugins.module_utils.spanplan import Failure, describe, read_duration

MODULE = "spanplan.spanplan.apply"

# ssh notices within this time that its line is cut; without this, it may wait for ever. What the user has set comes first.
KEEPALIVE = "-o ServerAliveInterval=5 -o ServerAliveCountMax=3"
# Seconds between two attempts to reach the host.
PAUSE = 2.0
# Seconds that an apply may take before its window opens, where a cut connection has left that unknown.
APPLY = 60.0
# Seconds after a window for the host to roll back, or to boot.
GRACE = 120.0

display = Display()


class ActionModule(ActionBase):
    """Runs the module; with rollback_after, confirms what it did."""

    _supports_check_mode = True
    _supports_async = True
    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        """Gives the result of the task."""
        result = super().run(tmp, task_vars)
        rollback_after = self._task.args.get("rollback_after")
        if not rollback_after or self._task.check_mode:
            result.update(self._run_module(task_vars, wrap_async=bool(self._task.async_val)))
            return result
        if self._task.async_val:
            raise AnsibleActionFail(
                "rollback_after does not go with async: this task has to confirm the change. "
                "Leave async out; the change itself does not depend on the connection"
            )
        result.update(self._apply_and_confirm(self._read_seconds(rollback_after), task_vars))
        return result

    def _run_module(self, task_vars, wrap_async=False):
        # A copy: Ansible adds keys of its own, and the module may run twice.
        arguments = dict(self._task.args)
        return self._execute_module(MODULE, arguments, task_vars=task_vars, wrap_async=wrap_async)

    def _read_seconds(self, duration):
        try:
            return read_duration(str(duration))
        except Failure as failure:
            raise AnsibleActionFail("rollback_after: {0}".format(failure)) from failure

    def _apply_and_confirm(self, seconds, task_vars):
        started = time.monotonic()
        self._keep_alive()
        try:
            applied = self._run_module(task_vars)
        except AnsibleConnectionFailure as error:
            self._lose()
            self._tell("at most {0} after the change".format(self._task.args["rollback_after"]), error)
            time.sleep(max(0.0, started + APPLY + seconds - time.monotonic()))
            return self._look_again({}, "the connection was lost", task_vars)
        window = applied.get("window")
        if applied.get("failed") or not window:
            return applied
        # After the window, the host says how it ended.
        answer = self._confirm(window, time.monotonic() + window["seconds"] + GRACE, task_vars)
        if answer is None:
            return self._fail(applied, "this host could not be reached over a new connection", None)
        if answer.get("rc") == 0:
            return dict(applied, confirmed=True)
        return self._look_again(applied, "the change could not be confirmed: " + self._read_error(answer), task_vars)

    def _keep_alive(self):
        """Has a new connection notice that its line is cut."""
        if self._connection.transport.rpartition(".")[2] == "ssh":
            given = self._connection.get_option("ssh_common_args") or ""
            self._connection.set_option("ssh_common_args", "{0} {1}".format(given, KEEPALIVE).strip())
        self._reset()

    def _reset(self):
        """Closes the connection. What was reached over it says nothing about whether the host can be reached now."""
        reset = getattr(self._connection, "reset", None)
        if reset is not None:
            reset()

    def _lose(self):
        """Forgets the folder for modules on a host that is not reached: it may be gone, and cannot be removed."""
        self._connection._shell.tmpdir = None

    def _confirm(self, window, end, task_vars):
        """Confirms over a new connection. Gives what spanplan confirm answers; None if the host is not reached in time."""
        executable = self._task.args.get("executable", "spanplan")
        told = False
        while True:
            try:
                self._reset()
                arguments = {"argv": [executable, "confirm", window["id"], "--json"]}
                return self._execute_module("ansible.legacy.command", arguments, task_vars=task_vars)
            except AnsibleConnectionFailure as error:
                self._lose()
                if not told:
                    self._tell("at {0}".format(window["until"]), error)
                    told = True
            if time.monotonic() >= end:
                return None
            time.sleep(PAUSE)

    def _tell(self, when, error):
        display.warning(
            "{0} cannot be reached ({1}). Unless the change is confirmed, spanplan on the host takes it back by itself, {2}".format(
                self._play_context.remote_addr, error, when
            )
        )

    def _look_again(self, applied, reason, task_vars):
        """Gives what became of a change whose window is over."""
        return self._fail(applied, reason, self._plan_again(time.monotonic() + GRACE, task_vars))

    def _fail(self, applied, reason, live):
        """Gives the result of a change that was not confirmed.

        :param live: what the module would do now; None if the host was not reached.
        """
        result = dict(applied, failed=True, confirmed=False, changed=False, rolled_back=None)
        if live is None or live.get("failed"):
            why = "the host could not be reached in time" if live is None else live.get("msg", "")
            became = "What became of the change could not be seen: {0}. spanplan takes back by itself what is not confirmed".format(why)
        elif live["changed"]:
            result.update(rolled_back=True, installed=None)
            became = "The change was taken back: the old file and the old state are in force"
        else:
            result.update(rolled_back=False, changed=True)
            became = "The change stays: somebody else has confirmed or made it"
        result["msg"] = "{0}\n{1}".format(reason[:1].upper() + reason[1:], became)
        return result

    def _plan_again(self, end, task_vars):
        """Gives what the module would do now; None if the host was not reached in time."""
        arguments = {key: value for key, value in self._task.args.items() if key != "rollback_after"}
        self._task.check_mode = True
        try:
            while True:
                try:
                    self._reset()
                    return self._execute_module(MODULE, dict(arguments), task_vars=task_vars)
                except AnsibleConnectionFailure:
                    self._lose()
                    if time.monotonic() >= end:
                        return None
                time.sleep(PAUSE)
        finally:
            self._task.check_mode = False

    def _read_error(self, answer):
        for line in answer.get("stdout", "").splitlines():
            try:
                document = json.loads(line)
            except ValueError:
                continue
            if document.get("type") == "error":
                return "; ".join(describe(error) for error in document["errors"])
        return answer.get("msg") or "exit status {0}".format(answer.get("rc"))
