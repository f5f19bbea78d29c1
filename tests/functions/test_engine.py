"""The JavaScript engine: limits, isolation, threads."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading

import pytest

from couchette import errors, jsonio
from couchette.errors import LimitExceeded
from couchette.functions import DesignFunctions, Engine, Limits, javascript_mapper
from couchette.functions import engine as engine_module

TIGHT = Limits(time_s=0.05, memory_bytes=4 * 1024 * 1024)

HOSTILE = {
    "endless loop": ("for (;;) {}", "out of time"),
    "endless loop that catches": ("for (;;) { try { for (;;) {} } catch (e) {} finally { continue } }", "out of time"),
    "malicious regex": ("/(x+x+)+y/.test('x'.repeat(200))", "out of time"),
    "array bomb": ("var a = []; for (;;) a.push(new Array(1000).fill(1))", "out of memory"),
    "string bomb": ("var s = 'xxxxxxxx'; for (;;) s = s + s.slice(1)", "out of memory|out of time"),
    "deep recursion": ("(function f() { return f() + 1 })()", "out of stack"),
    "deep JSON": ("var a = []; for (var i = 0; i < 1e5; i++) a = [a]; JSON.stringify(a)", "out of (stack|memory)"),
}


@pytest.fixture
def engine():
    engine = Engine(limits=TIGHT)
    yield engine
    engine.close()


def evaluate(engine, body, **members):
    """What a show function of this body answers as its body."""
    functions = DesignFunctions({"shows": {"x": f"function(doc, req) {{ {body} }}"}, **members}, limits=engine.limits)
    try:
        return functions.show("x", None, {}).get("body")
    finally:
        functions.close()


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_function_ends_in_an_error_and_the_engine_goes_on(case, engine):
    body, reason = HOSTILE[case]
    with pytest.raises(LimitExceeded, match=reason):
        engine.call("reduce", {"source": f"function() {{ {body} }}", "keys": [], "values": [], "rereduce": False})
    assert (
        engine.call("reduce", {"source": "function() { return 7 }", "keys": [], "values": [], "rereduce": False}) == 7
    )


@pytest.mark.slow
def test_a_batch_that_takes_too_long_is_done_again_document_by_document():
    slow = javascript_mapper(
        ["function(doc) { var end = Date.now() + 30; while (Date.now() < end); emit(doc._id) }"], limits=TIGHT
    )
    docs = [{"_id": str(number)} for number in range(6)]
    assert slow.map(docs) == [[[(doc["_id"], None)]] for doc in docs]
    slow.close()


def test_the_error_names_the_document_that_exceeds_a_limit():
    mapper = javascript_mapper(["function(doc) { while (doc.bad); emit(1) }"], limits=TIGHT)
    with pytest.raises(LimitExceeded) as raised:
        mapper.map([{"_id": "good"}, {"_id": "evil", "bad": True}])
    assert "'evil'" in raised.value.hint
    assert mapper.map([{"_id": "good"}]) == [[[(1, None)]]]
    mapper.close()


def test_nothing_outside_can_be_reached(engine):
    names = evaluate(engine, "return Object.getOwnPropertyNames((function () { return this }).call(undefined)).join()")
    assert not set(names.split(",")) & {
        "Atomics", "SharedArrayBuffer", "WebAssembly", "console", "eval", "fetch", "os", "print", "process",
        "queueMicrotask", "readline", "setTimeout", "std",
    }  # fmt: skip


def test_modules_cannot_be_imported(engine):
    with pytest.raises(errors.CouchetteError):
        evaluate(engine, "import('std'); return import.meta.url")


@pytest.mark.parametrize(
    "attack",
    [
        "Array.prototype.push = function() {}",
        "Object.prototype.evil = 1",
        "JSON.stringify = null",
        "emit = null",
        "globalThis.emit = null",
        "Object.prototype.toString = null",
        "Object.defineProperty(Object.prototype, 'evil', {value: 1})",
        "(function*(){})().constructor.prototype.evil = 1",
        "Object.getPrototypeOf([].values()).next = null",
        "evil = 1",
        "globalThis.evil = 1",
        "this.evil = 1",
        "Object.setPrototypeOf(globalThis, {evil: 1})",
        "globalThis.__proto__ = {evil: 1}",
        "Error.prepareStackTrace = function() { return 1 }",
        "arguments.callee.caller.arguments[0] = 1",
        "RegExp.prototype.exec = null",
        "Map.prototype.has = null",
        "new Function('evil = 1')()",
    ],
)
def test_what_one_function_changes_no_other_sees(attack):
    mapper = javascript_mapper(
        [
            f"function(doc) {{ try {{ {attack} }} catch (e) {{}} }}",
            "function(doc) { var a = []; a.push(1); emit(typeof evil, [doc.evil, a, /x/.exec('x')[0], String({})]) }",
        ]
    )
    rows = mapper.map([{"_id": "a"}, {"_id": "b"}])
    assert [views[1] for views in rows] == [[("undefined", [None, [1], "x", "[object Object]"])]] * 2
    mapper.close()


def test_a_permanent_global_costs_its_maker_the_context(engine):
    functions = DesignFunctions(
        {
            "shows": {
                "evil": "function() { Object.defineProperty(globalThis, 'evil', {value: 1}); return 'done' }",
                "good": "function() { return typeof evil }",
            }
        }
    )
    with pytest.raises(LimitExceeded, match="evil"):
        functions.show("evil", None, {})
    assert functions.show("good", None, {}) == {"body": "undefined"}
    functions.close()


def test_own_properties_may_be_named_like_inherited_ones(engine):
    body = """
        function Child() {}
        Child.prototype = Object.create(Error.prototype);
        Child.prototype.constructor = Child;
        var counts = {};
        counts.toString = (counts.toString === Object.prototype.toString) ? 1 : 2;
        var error = new Error('a');
        error.message = 'b';
        return JSON.stringify([new Child().constructor === Child, counts, error.message]);
    """
    assert evaluate(engine, body) == '[true,{"toString":1},"b"]'


def test_sources_may_have_comments_semicolons_and_helpers():
    sources = [
        "function(doc) { emit(1) };",
        "// first\nfunction(doc) { emit(1) } // last",
        "/* first */ function named(doc) { emit(1) };\n\n",
        "(function(doc) { emit(1) })",
        "doc => emit(1)",
        "(doc) => { emit(1) };",
        "function(doc) { emit(one()) }; function one() { return 1 }",
    ]
    mapper = javascript_mapper(sources)
    assert mapper.map([{"_id": "a"}]) == [[[(1, None)]] * len(sources)]
    mapper.close()


def test_lone_surrogates_become_replacement_characters():
    mapper = javascript_mapper(["function(doc) { emit('a\\ud800b', ['\\\\ud800', '\\ud83d\\ude00']) }"])
    assert mapper.map([{"_id": "a"}]) == [[[("a\ufffdb", ["\\ud800", "\U0001f600"])]]]
    mapper.close()


@pytest.mark.slow
def test_the_deepest_and_the_largest_documents_pass():
    deep: list = []
    for _ in range(990):
        deep = [deep]
    mapper = javascript_mapper(["function(doc) { emit(doc._id, doc.text ? doc.text.length : doc.deep) }"])
    large, nested = mapper.map([{"_id": "large", "text": "x" * 7_900_000}, {"_id": "deep", "deep": deep}])
    assert large == [[("large", 7_900_000)]]
    assert jsonio.dumps(nested) == jsonio.dumps([[["deep", deep]]])
    mapper.close()


def test_what_functions_log_is_logged(caplog):
    mapper = javascript_mapper(["function(doc) { log('hello'); log({a: 1}); emit(1) }"])
    with caplog.at_level(logging.INFO, "couchette.functions"):
        mapper.map([{"_id": "a"}])
    assert [record.message for record in caplog.records] == ["hello", '{"a":1}']
    mapper.close()


def test_a_function_cannot_flood_the_log(caplog):
    mapper = javascript_mapper(["function(doc) { for (var i = 0; i < 1000; i++) log('x'.repeat(10000)) }"])
    with caplog.at_level(logging.INFO, "couchette.functions"):
        mapper.map([{"_id": "a"}])
    assert len(caplog.records) == 100
    assert max(len(record.message) for record in caplog.records) < 2100
    mapper.close()


def threads():
    return {thread for thread in threading.enumerate() if thread.name == "couchette-javascript"}


def test_a_thread_begins_with_the_first_call_and_ends_with_close():
    before = threads()
    mapper = javascript_mapper(["function(doc) {}"])
    assert threads() == before
    mapper.map([{"_id": "a"}])
    assert len(threads() - before) == 1
    mapper.close()
    assert threads() == before
    mapper.close()
    with pytest.raises(errors.FunctionFailed, match="closed"):
        mapper.map([{"_id": "a"}])


def test_the_thread_of_a_forgotten_engine_ends():
    before = threads()
    engine = Engine()
    engine.call("compile", "function() {}")
    (thread,) = threads() - before
    del engine
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()


def test_many_threads_may_call_one_engine():
    mapper = javascript_mapper(["function(doc) { emit(doc._id) }"])
    answers: dict[int, bool] = {}

    def call(number: int) -> None:
        docs = [{"_id": f"{number}-{doc}"} for doc in range(50)]
        answers[number] = all(mapper.map(docs) == [[[(doc["_id"], None)]] for doc in docs] for _ in range(5))

    callers = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    mapper.close()
    assert answers == dict.fromkeys(range(4), True)


@pytest.mark.slow
@pytest.mark.parametrize("state", ["idle", "forgotten", "in a loop"])
def test_the_interpreter_exits_whatever_the_engine_does(state):
    code = f"""
import threading
from couchette.functions import Engine, Limits, javascript_mapper
mapper = javascript_mapper(["function(doc) {{ while (doc.bad); }}"], limits=Limits(time_s=30))
mapper.map([{{"_id": "a"}}])
if {state!r} == "forgotten":
    del mapper
if {state!r} == "in a loop":
    started = threading.Event()
    def run():
        started.set()
        mapper.map([{{"_id": "a", "bad": True}}])
    threading.Thread(target=run, daemon=True).start()
    started.wait()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_importing_functions_does_not_import_quickjs():
    code = "import sys, couchette.functions; print('_quickjs' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_missing_quickjs_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "_quickjs", None)
    with pytest.raises(errors.MissingExtra, match=r"pip install 'couchette\[js\]'"):
        engine_module.Engine().call("compile", "function() {}")
