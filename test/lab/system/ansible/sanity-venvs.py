"""Makes the virtual environments of ansible-test sanity of Debian's packages, where ansible-test would ask PyPI.

Prints the version of Python that they are for.

Debian's ansible-core pins other patch versions than Debian has. antsibull-docs-parser is not in Debian at all: a stand-in
finds no markup in a text, so validate-modules checks everything but that.
"""

from __future__ import annotations

import sys
import types
import venv
from pathlib import Path

from ansible_test._internal.commands.sanity import hash_pip_commands
from ansible_test._internal.python_requirements import collect_requirements

TESTS = ("ansible-doc", "import", "import.plugin", "pep8", "pylint", "runtime-metadata", "validate-modules", "yamllint")
STAND_IN = {
    "__init__.py": "",
    "dom.py": "class PluginIdentifier:\n    def __init__(self, **unused):\n        pass\n",
    "parser.py": "class Context:\n    def __init__(self, **unused):\n        pass\n\n\ndef parse(*unused, **unused_too):\n    return []\n",
}


def make_venv(test: str, python: types.SimpleNamespace) -> None:
    """Makes the environment of one test, in the place and with the marks by which ansible-test finds it."""
    commands = collect_requirements(
        python=python, controller=True, ansible=False, coverage=False, minimize=True, command=None, sanity=test
    )
    folder = Path.home() / ".ansible/test/venv" / f"sanity.{test}" / python.version / hash_pip_commands(commands)
    venv.create(folder, system_site_packages=True, symlinks=True)
    (folder / "meta.yaml.json").write_text("true")
    (folder / "marker.txt").touch()
    if test == "validate-modules":
        package = folder / "lib" / f"python{python.version}" / "site-packages/antsibull_docs_parser"
        package.mkdir()
        for name, text in STAND_IN.items():
            (package / name).write_text(text)


running = types.SimpleNamespace(version="{}.{}".format(*sys.version_info))
for name in TESTS:
    make_venv(name, running)
print(running.version)
