// The world that design functions live in: CouchDB's globals, nothing else, and all of it frozen.
//
// The files of this folder are one program, run inside a function in the order sandbox, views, render, dispatch. It keeps its own
// state in variables that design functions cannot name. They share one context, so what they could change of it is either
// frozen or swept away: intrinsics and globals are frozen here, and a global that a function creates by forgetting `var` is
// removed after it. So no function, and no document, has an effect on what the next one sees. Two exceptions are CouchDB's
// own: a module of the design document keeps its state, and Date and Math.random are there.

const evaluate = eval;

// Atomics.wait would sleep outside the time limit, and shared memory serves nothing without it. Collected references and
// microtasks would run at times that are not ours. CouchDB's functions have no eval either.
for (const name of ["eval", "Atomics", "SharedArrayBuffer", "WeakRef", "FinalizationRegistry", "queueMicrotask", "performance"]) {
  delete globalThis[name];
}

let root = {}; // what require() reads: the design document's members
let modules = new Map(); // id of a module that is loaded, or being loaded -> its `module`
let messages = []; // of log() and of errors, for Python's logging
let emitted = []; // by the map function that runs: [key, value]

const MESSAGES_MAX = 100;
const MESSAGE_CHARS_MAX = 2000;

function note(level, text) {
  if (messages.length < MESSAGES_MAX) {
    messages.push([level, text.length > MESSAGE_CHARS_MAX ? text.slice(0, MESSAGE_CHARS_MAX) + "…" : text]);
  }
}

const environment = {
  emit(key, value) {
    emitted.push([key, value]);
  },
  sum(values) {
    let total = 0;
    for (const at in values) total += values[at];
    return total;
  },
  isArray(value) {
    return Array.isArray(value);
  },
  toJSON(value) {
    return JSON.stringify(value);
  },
  log(message) {
    note("info", typeof message === "string" ? message : String(JSON.stringify(message)));
  },
  require(path) {
    return load(String(path), []);
  },
};

// -- Errors ---------------------------------------------------------------------------------------

// What was thrown, in one line. It may be anything, a hostile object too.
function describe(thrown) {
  try {
    if (thrown instanceof Error) return `${thrown.name}: ${thrown.message}`;
    return typeof thrown === "object" ? String(JSON.stringify(thrown)) : String(thrown);
  } catch {
    return "an object that cannot be shown";
  }
}

// The name and the message of an exception.
function identity(thrown) {
  try {
    return thrown instanceof Error ? [String(thrown.name), String(thrown.message)] : null;
  } catch {
    return null;
  }
}

function traceback(thrown) {
  try {
    return thrown instanceof Error ? String(thrown.stack) : "";
  } catch {
    return "";
  }
}

// Whether the engine ran out of stack or memory: then the function failed, and not just this document.
function isExhaustion(thrown) {
  try {
    return thrown === null || thrown instanceof InternalError
      || (thrown instanceof RangeError && thrown.message === "Maximum call stack size exceeded");
  } catch {
    return false;
  }
}

// CouchDB's protocol: ["error" | "fatal", word, reason] is an answer rather than an accident.
function isAnswer(thrown) {
  return Array.isArray(thrown) && (thrown[0] === "error" || thrown[0] === "fatal");
}

// -- Compiling ------------------------------------------------------------------------------------

// A function's source may have comments around it and a semicolon after it, and helpers after that. After a comma it
// is an expression, and the value of the whole script.
function compile(source) {
  let value;
  try {
    value = evaluate(`0,${source}\n`);
  } catch (thrown) {
    if (isExhaustion(thrown)) throw thrown;
    throw ["error", "compilation_error", `${describe(thrown)} (${source})`];
  }
  if (typeof value !== "function") {
    throw ["error", "compilation_error", `Expression does not eval to a function. (${source})`];
  }
  pinGlobals();
  return value;
}

// CommonJS inside the design document: a path of member names, from the root or, with ./ and ../, from the module.
function load(path, base) {
  const steps = path.split("/");
  const at = steps[0] === "." || steps[0] === ".." ? base.slice() : [];
  for (const step of steps) {
    if (step === "..") {
      if (!at.length) throw ["error", "invalid_require_path", `Object has no parent. (${path})`];
      at.pop();
    } else if (step !== "." && step !== "") {
      at.push(step);
    }
  }
  const id = at.join("/");
  // What is being loaded is there already, as far as it got: so circular requires end.
  if (!modules.has(id)) {
    const module = { id, exports: {} };
    const source = sourceOf(at);
    modules.set(id, module);
    try {
      const body = evaluate(`(function (module, exports, require) {${source}\n})`);
      body.call(globalThis, module, module.exports, (inner) => load(String(inner), at.slice(0, -1)));
    } catch (thrown) {
      modules.delete(id);
      if (isExhaustion(thrown)) throw thrown;
      throw ["error", "compilation_error",
        `Module require('${path}') raised error ${isAnswer(thrown) ? thrown[2] : describe(thrown)}`];
    }
    pinGlobals();
  }
  return modules.get(id).exports;
}

function sourceOf(steps) {
  let value = root;
  for (const step of steps) {
    if (value === null || typeof value !== "object" || !Object.hasOwn(value, step)) {
      throw ["error", "invalid_require_path", `Object has no property "${step}". (${steps.join("/")})`];
    }
    value = value[step];
  }
  if (typeof value !== "string") {
    throw ["error", "invalid_require_path", `Must require a JavaScript string, not: ${typeof value}`];
  }
  return value;
}

// -- Freezing -------------------------------------------------------------------------------------

// Without recursion: a document may nest deeper than the stack allows.
function freezeDeeply(value) {
  const todo = [value];
  for (let at = 0; at < todo.length; at++) {
    const container = Object.freeze(todo[at]);
    for (const name in container) {
      const member = container[name];
      if (typeof member === "object" && member !== null) todo.push(member);
    }
  }
  return value;
}

// A frozen property of a prototype cannot be assigned on what inherits it: `error.message = …` and `Child.prototype.constructor
// = Child` would be lost. As accessors, these make an own property where they are assigned.
function allowOverrides(prototype) {
  for (const name of Object.getOwnPropertyNames(prototype)) {
    const property = Object.getOwnPropertyDescriptor(prototype, name);
    if (!("value" in property) || !property.configurable) continue;
    const value = property.value;
    Object.defineProperty(prototype, name, {
      enumerable: property.enumerable,
      configurable: false,
      get() {
        return value;
      },
      set(replacement) {
        if (this === prototype || this === null || (typeof this !== "object" && typeof this !== "function")) return;
        Object.defineProperty(this, name, { value: replacement, writable: true, enumerable: true, configurable: true });
      },
    });
  }
}

// Everything that is reachable without the global object: by syntax, and through prototypes.
function hiddenIntrinsics() {
  const samples = [function () {}, function* () {}, async function () {}, async function* () {}, [].values(), new Map().keys(),
    new Set().keys(), ""[Symbol.iterator](), "".matchAll(/x/g), Iterator.from({ next() {} }), [].values().map((x) => x), /x/];
  return samples.concat(samples.map((sample) => sample.prototype).filter(Boolean));
}

let known = new Set(); // names of the globals that are meant to be
const globalPrototype = Object.getPrototypeOf(globalThis);

function pinGlobals() {
  const names = Reflect.ownKeys(globalThis);
  if (names.length === known.size) return;
  for (const name of names) {
    if (known.has(name)) continue;
    const property = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, "value" in property ? { writable: false, configurable: false } : { configurable: false });
  }
  known = new Set(names);
}

function hasStrays() {
  return Reflect.ownKeys(globalThis).length !== known.size || Object.getPrototypeOf(globalThis) !== globalPrototype;
}

function sweep() {
  Object.setPrototypeOf(globalThis, globalPrototype);
  for (const name of Reflect.ownKeys(globalThis)) {
    if (!known.has(name) && !Reflect.deleteProperty(globalThis, name)) {
      throw new InternalError(`A function made the global ${String(name)}, which cannot be removed.`);
    }
  }
}

function harden() {
  for (const name in environment) {
    Object.defineProperty(globalThis, name, { value: environment[name], writable: false, enumerable: false, configurable: false });
  }
  const errors = [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, InternalError, AggregateError];
  [Object, Function, ...errors].forEach((made) => allowOverrides(made.prototype));
  const seen = new Set([globalThis]);
  const todo = [Object.getPrototypeOf(globalThis), ...hiddenIntrinsics()];
  for (const name of Reflect.ownKeys(globalThis)) todo.push(globalThis[name]);
  while (todo.length) {
    const value = todo.pop();
    if (value === null || (typeof value !== "object" && typeof value !== "function") || seen.has(value)) continue;
    seen.add(value);
    todo.push(Object.getPrototypeOf(value));
    for (const name of Reflect.ownKeys(value)) {
      const property = Object.getOwnPropertyDescriptor(value, name);
      todo.push(property.value, property.get, property.set);
    }
    Object.freeze(value);
  }
  pinGlobals();
}
