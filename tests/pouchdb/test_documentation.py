"""docs/pouchdb.md has all of the document of the package ``pouchdb``: its examples, its names, a test for each name."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping, MutableMapping
from functools import cache
from pathlib import Path
from textwrap import dedent

import pytest

from couchette import pouchdb
from couchette.pouchdb.context import Context
from couchette.pouchdb.operations import operation

TESTS = Path(__file__).parent
PAGE = (TESTS.parents[1] / "docs/pouchdb.md").read_text()
ROWS = dict(re.findall(r"^\| `([^`]+)` \| `(\w+::\w+)` \|$", PAGE, re.MULTILINE))

NAMES = """
setup(storageDir=None, async_=False, baseUrl='file:///')
BaseError
EnvironmentError
PouchDBError(message, *args, **kwargs)
PouchDBError.__getitem__(name)
AbstractEnvironment
AbstractEnvironment.__getitem__(dbName)
AbstractEnvironment.POUCHDB_VERSION
AbstractEnvironment.PouchDB(name, **options)
AbstractEnvironment.addListener(event, listener)
AbstractEnvironment.add_listener
AbstractEnvironment.on
AbstractEnvironment.allDbs()
AbstractEnvironment.all_dbs
AbstractEnvironment.context
AbstractEnvironment.destroy(name_=None, **options)
AbstractEnvironment.emit(event, *args)
AbstractEnvironment.listeners(event)
AbstractEnvironment.once(event, listener)
AbstractEnvironment.removeAllListeners(event=None)
AbstractEnvironment.remove_all_listeners
AbstractEnvironment.removeListener(event, listener)
AbstractEnvironment.remove_listener
AbstractEnvironment.replicate(source, target, **options)
AbstractEnvironment.resetAllDbs()
AbstractEnvironment.reset_all_dbs
AbstractEnvironment.setMaxListeners(n)
AbstractEnvironment.set_max_listeners
AbstractEnvironment.sync(source, target, **options)
Context.inspect
Context.waitUntilCalled
SyncEnvironment
SyncEnvironment.keys()
SyncEnvironment.__delitem__(dbName)
SyncEnvironment.replicate(source, target, **options)
SyncEnvironment.sync(source, target, **options)
AsyncEnvironment
AbstractPouchDB
AbstractPouchDB.__init__(name, **options)
AbstractPouchDB.allDocs(**options)
AbstractPouchDB.all_docs
AbstractPouchDB.bulkDocs(docs, **options)
AbstractPouchDB.bulk_docs
AbstractPouchDB.changes(**options)
AbstractPouchDB.compact()
AbstractPouchDB.destroy()
AbstractPouchDB.get(docid, **options)
AbstractPouchDB.getAttachment(docId, attachmentId, **options)
AbstractPouchDB.get_attachment
AbstractPouchDB.getSession(**options)
AbstractPouchDB.get_session
AbstractPouchDB.getUser(username, **options)
AbstractPouchDB.get_user
AbstractPouchDB.gql(query, **options)
AbstractPouchDB.info()
AbstractPouchDB.list(listPath, **options)
AbstractPouchDB.login(username, password, **options)
AbstractPouchDB.logIn
AbstractPouchDB.log_in
AbstractPouchDB.logout(**options)
AbstractPouchDB.logOut
AbstractPouchDB.log_out
AbstractPouchDB.post(doc, **options)
AbstractPouchDB.put(doc, id=None, rev=None, **options)
AbstractPouchDB.putAttachment(docId, attachmentId, doc, type, rev=None)
AbstractPouchDB.put_attachment
AbstractPouchDB.query(fun, **options)
AbstractPouchDB.remove(doc, **options)
AbstractPouchDB.removeAttachment(docId, attachmentId, rev)
AbstractPouchDB.remove_attachment
AbstractPouchDB.replicateFrom(remoteDB, **options)
AbstractPouchDB.replicate_from
AbstractPouchDB.replicateTo(remoteDB, **options)
AbstractPouchDB.replicate_to
AbstractPouchDB.revsDiff(diff)
AbstractPouchDB.revs_diff
AbstractPouchDB.rewrite(url, **options)
AbstractPouchDB.rewriteResultRequestObject(url, **options)
AbstractPouchDB.search(func, **options)
AbstractPouchDB.show(showPath, **options)
AbstractPouchDB.signup(username, password, **options)
AbstractPouchDB.signUp
AbstractPouchDB.sign_up
AbstractPouchDB.spatial(fun, **options)
AbstractPouchDB.sync(remoteDB, **options)
AbstractPouchDB.update(url, **options)
AbstractPouchDB.validatingBulkDocs(docs, **options)
AbstractPouchDB.validating_bulk_docs
AbstractPouchDB.validatingPost(doc, **options)
AbstractPouchDB.validating_post
AbstractPouchDB.validatingPut(doc, id=None, rev=None, **options)
AbstractPouchDB.validating_put
AbstractPouchDB.validatingPutAttachment(docId, attachmentId, doc, type, rev=None, **options)
AbstractPouchDB.validating_put_attachment
AbstractPouchDB.validatingRemove(doc, **options)
AbstractPouchDB.validating_remove
AbstractPouchDB.validatingRemoveAttachment(docId, attachmentId, rev, **options)
AbstractPouchDB.validating_remove_attachment
AbstractPouchDB.viewCleanup(**options)
AbstractPouchDB.view_cleanup
AbstractPouchDB.prefix
AbstractPouchDB.plugin(plugin)
SyncPouchDB
SyncPouchDB.__getitem__(docId)
SyncPouchDB.__setitem__(docId, doc)
SyncPouchDB.__delitem__(docId)
SyncPouchDB.__iter__()
SyncPouchDB.__len__()
SyncPouchDB.__contains__
SyncPouchDB.changes(**options)
SyncPouchDB.get_(*args, **kwargs)
SyncPouchDB.replicateFrom(remoteDB, **options)
SyncPouchDB.replicateTo(remoteDB, **options)
SyncPouchDB.sync(remoteDB, **options)
AsyncPouchDB
"""
"""Every class, function, method and property of the document, as it writes their arguments; ``async`` is ``async_``.

Those without arguments are properties, or other names of the method above.
"""

OPTIONS = """
AbstractEnvironment.destroy(…, name=)
AbstractEnvironment.replicate(…, live=)
AbstractPouchDB.allDocs(…, keys=)
AbstractPouchDB.bulkDocs(…, new_edits=)
AbstractPouchDB.changes(…, onChange=)
AbstractPouchDB.changes(…, live=)
AbstractPouchDB.changes(…, continuous=)
AbstractPouchDB.changes(…).cancel
AbstractPouchDB.rewrite(…, withValidation=)
AbstractPouchDB.rewrite(…, query=)
AbstractPouchDB.signup(…, metadata=)
AbstractPouchDB.validatingPut(…, secObj=)
AbstractPouchDB.validatingPut(…, userCtx=)
AbstractPouchDB.validatingPut(…, checkHttp=)
AbstractEnvironment.on("created")
AbstractEnvironment.on("destroy")
"""
"""The options and events that the document names."""

EXAMPLES = r"""
>>> environment = setup()
>>> db = environment.PouchDB('example')
>>> printjson(db.put({"_id": 'my_example_doc'}))
{"id": "my_example_doc", "ok": true, "rev": "1-..."}
>>> printjson(db.get('my_example_doc'))
{"_id": "my_example_doc", "_rev": "1-..."}

>>> db["my_example_doc"] = {}
>>> printjson(db["my_example_doc"])
{"_id": "my_example_doc", "_rev": "2-..."}

>>> def callback(err, resp):
...     printjson(["inside callback:", resp])
...
>>> env = setup(async_=True)
>>> db = env.PouchDB('example')
>>> promise = db.post({}, callback)

>>> env.context.waitUntilCalled(callback)
["inside callback:", {"id": "...", "ok": true, "rev": "1-..."}]
>>> promise2 = env.destroy('example')

>>> try:
...     setup().PouchDB('new-db').get('unexisting-doc')
... except pouchdb.PouchDBError as e:
...    if e["status"] == 404:
...        print("Not found")
...    else:
...        print("Unknown error")
...
Not found

>>> setup()["test"]
<pouchdb.SyncPouchDB object at 0x...>
>>> setup().PouchDB('test')
<pouchdb.SyncPouchDB object at 0x...>

>>> env = setup()
>>> env.keys()
[...]

>>> env = setup()
>>> del env["test"]
>>> env.destroy("test")

>>> db = setup()["my-example"]
>>> db["mytest"] = {"test": "ok"}
>>> printjson(list(db))
["mytest"]
>>> len(db)
1
>>> "mytest" in db
True
>>> "abc" in db
False

>>> db = setup().PouchDB("example")
>>> db["abc"]
Traceback (most recent call last):
  ...
KeyError: '{"status":404,"name":"not_found","message":"missing"}'

>>> db = setup()["example"]
>>> del db["abc"]
Traceback (most recent call last):
  ...
KeyError: '{"status":404,"name":"not_found","message":"missing"}'

>>> printjson(db.get_("abc", {"hello": "world"}))
{"hello": "world"}
"""
"""The document's examples, which tests/test_docs.py runs where they stand on the page."""

EXAMPLE_PARTS = EXAMPLES.strip().split("\n\n")
NAME_ROWS = NAMES.split("\n")[1:-1]
OPTION_ROWS = OPTIONS.split("\n")[1:-1]


@pytest.mark.parametrize("part", EXAMPLE_PARTS, ids=range(len(EXAMPLE_PARTS)))
def test_every_example_of_the_document_is_on_the_page(part):
    assert f"{part}\n" in PAGE


def test_the_table_has_every_name_of_the_document():
    assert [*ROWS] == [*NAME_ROWS, *OPTION_ROWS]


@pytest.mark.parametrize("row", NAME_ROWS)
def test_the_name_is_there_with_its_arguments(row, env, async_env):
    name, _, arguments = row.partition("(")
    for found in _found(name, env, async_env):
        if not arguments:
            assert found is not None
            continue
        expected = _parameters(eval(f"lambda self, {arguments[:-1]}: None"))
        given = _parameters(found)
        if (name, found) == ("AbstractPouchDB.update", pouchdb.SyncPouchDB.update):
            continue  # It is a mapping's `update` too, and takes what that takes.
        positional = [one for one in expected if one.kind is one.POSITIONAL_OR_KEYWORD]
        assert [(one.name, one.kind, one.default) for one in given[: len(positional)]] == [
            (one.name, one.kind, one.default) for one in positional
        ]
        further = [one for one in given[len(positional) :] if one.kind is one.POSITIONAL_OR_KEYWORD]
        assert all(one.default is not one.empty for one in further)


@pytest.mark.parametrize("row", ROWS)
def test_the_test_is_there_and_is_about_the_name(row):
    module, _, test = ROWS[row].partition("::")
    source = _tests(module)[test]
    name = re.findall(r"\w+", row.partition("(")[0] if row in NAME_ROWS else row)[-1]
    if not name.startswith("__"):
        assert re.search(rf"\b{name}\b", source), f"{name} is not in {ROWS[row]}"


def test_the_other_names_of_a_method_are_the_same_method():
    method = None
    for row in NAME_ROWS:
        owner, _, name = row.partition("(")[0].rpartition(".")
        if "(" in row:
            method = name
        elif name == "on" or name.replace("_", "").lower() == str(method).lower():
            assert all(getattr(face, name).__doc__ == getattr(face, str(method)).__doc__ for face in _faces(owner))


def test_environments_and_databases_are_mappings_where_the_document_says_so():
    assert issubclass(pouchdb.SyncEnvironment, pouchdb.AbstractEnvironment)
    assert issubclass(pouchdb.SyncEnvironment, Mapping)
    assert not issubclass(pouchdb.SyncEnvironment, MutableMapping)
    assert issubclass(pouchdb.AsyncEnvironment, pouchdb.AbstractEnvironment)
    assert issubclass(pouchdb.SyncPouchDB, pouchdb.AbstractPouchDB)
    assert issubclass(pouchdb.SyncPouchDB, MutableMapping)
    assert issubclass(pouchdb.AsyncPouchDB, pouchdb.AbstractPouchDB)
    assert not issubclass(pouchdb.AsyncPouchDB, Mapping)
    assert issubclass(pouchdb.PouchDBError, pouchdb.BaseError)
    assert issubclass(pouchdb.EnvironmentError, pouchdb.BaseError)


def test_no_method_is_documented_nowhere():
    own = {"find", "explain", "purge", "close", "bulkGet", "createIndex", "getIndexes", "deleteIndex", "getSecurity"}
    own |= {"putSecurity"}  # PouchDB 9's, and its plug-ins': the package had them not.
    declared = {name for name, value in vars(pouchdb.AbstractPouchDB).items() if isinstance(value, operation)}
    documented = {row.partition("(")[0].removeprefix("AbstractPouchDB.") for row in NAME_ROWS}
    assert {name for name in declared if "_" not in name} - own <= documented
    assert all(f"`{name}`" in PAGE for name in own)


def _faces(owner):
    """The classes of a program that have what the document says of a class."""
    return {
        "": [pouchdb],
        "AbstractEnvironment": [pouchdb.SyncEnvironment, pouchdb.AsyncEnvironment],
        "AbstractPouchDB": [pouchdb.SyncPouchDB, pouchdb.AsyncPouchDB],
        "Context": [Context],
    }.get(owner) or [getattr(pouchdb, owner)]


def _found(name, env, async_env):
    """What a name of the document is, in each API that has it."""
    owner, _, member = name.rpartition(".")
    if name == "AbstractEnvironment.PouchDB":
        return [env.PouchDB.__init__, async_env.PouchDB.__init__]
    return [getattr(face, member) for face in _faces(owner)]


def _parameters(function):
    """The parameters of a function without `self`."""
    return [one for one in inspect.signature(function).parameters.values() if one.name != "self"]


@cache
def _tests(module):
    """The sources of a module's tests, with their parameters."""
    source = (TESTS / f"{module}.py").read_text()
    lines = source.splitlines()
    tests = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            tests[node.name] = dedent("\n".join(lines[first - 1 : node.end_lineno]))
    return tests
