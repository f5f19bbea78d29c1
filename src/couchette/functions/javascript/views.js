// Map, reduce, and the filters and validation of documents.

let mappers = []; // the compiled map functions of the design document's views, in the order asked
let plain = false; // none of them can change anything, as far as their sources show
let wary = false; // one of them creates globals, so these are swept after each call

// A map function that throws has emitted nothing for this document; but one that says "fatal" ends the whole batch.
function excuse(thrown, doc) {
  if (isExhaustion(thrown)) throw thrown;
  if (thrown === "fatal_error") throw ["error", "map_runtime_error", "function raised 'fatal_error'"];
  if (Array.isArray(thrown) && thrown[0] === "fatal") throw thrown;
  note("warning", `function raised exception ${describe(thrown)}${doc ? ` with doc._id ${doc._id}` : ""}\n${traceback(thrown)}`);
}

function mapDocument(doc) {
  const views = [];
  for (const map of mappers) {
    let rows = "[]";
    emitted = [];
    try {
      map(doc);
      // Written at once: what was emitted may be an object that the next call changes.
      if (emitted.length) rows = JSON.stringify(emitted);
    } catch (thrown) {
      excuse(thrown, doc);
    }
    views.push(rows);
    if (wary) sweep();
  }
  return `[${views.join()}]`;
}

// Functions that change nothing need no frozen documents, and what they emit stays as it is until the end of the batch.
function mapPlainly(docs) {
  const rows = [];
  for (const doc of docs) {
    const views = [];
    for (const map of mappers) {
      emitted = [];
      try {
        map(doc);
        views.push(emitted);
      } catch (thrown) {
        excuse(thrown, doc);
        views.push([]);
      }
    }
    rows.push(views);
  }
  return JSON.stringify(rows);
}

function mapCarefully(docs) {
  for (const doc of docs) freezeDeeply(doc);
  return `[${docs.map(mapDocument).join()}]`;
}

// To look for new globals after each call would double its price, so it is done once a batch. The first batch in which there
// are some is done again, and from then on with a look after each call.
function mapDocuments(docs) {
  let rows;
  if (plain) {
    try {
      rows = mapPlainly(docs);
    } catch (thrown) {
      if (isExhaustion(thrown) || isAnswer(thrown)) throw thrown;
      plain = false; // It emits what JSON cannot hold; which row that is will be seen when each is written by itself.
      messages = [];
    }
  }
  if (!rows) rows = mapCarefully(docs);
  if (!wary && hasStrays()) {
    wary = true;
    plain = false;
    sweep();
    messages = [];
    rows = mapCarefully(docs);
  }
  emitted = [];
  return rows;
}

// Text indexes call index(). It is there for them alone: in a view `index` may be anybody's variable, even a global one.
function index(name, value, options) {
  if (typeof name !== "string") throw new TypeError(`The first argument of index() is a field's name, not ${describe(name)}.`);
  if (!["string", "number", "boolean"].includes(typeof value)) {
    throw new TypeError(`The second argument of index() is a string, a number or a boolean, not ${describe(value)}.`);
  }
  emitted.push([name, value, options ?? null]);
}

function prepareIndexers(given) {
  Object.defineProperty(globalThis, "index", { value: Object.freeze(index), writable: false, enumerable: false, configurable: false });
  pinGlobals();
  return COMMANDS.mappers(given);
}

const reducers = new Map(); // source -> function

function reduceValues({ source, keys, values, rereduce }) {
  if (!reducers.has(source)) reducers.set(source, compile(source));
  try {
    return JSON.stringify(reducers.get(source)(keys, values, rereduce)) ?? "null";
  } catch (thrown) {
    excuse(thrown, null);
    return "null";
  }
}

function filterDocuments({ name, docs, req }) {
  const filter = member("filters", name);
  return JSON.stringify(docs.map((doc) => Boolean(filter.call(root, doc, req))));
}

function filterByView({ name, docs }) {
  const map = member("views", name, "map");
  return JSON.stringify(docs.map((doc) => {
    emitted = [];
    map(doc);
    return emitted.length > 0;
  }));
}

// Per edit null, or what the function threw: an object that says forbidden or unauthorized, or anything else that is no Error.
function validateEdits({ edits, userCtx, secObj }) {
  const validate = member("validate_doc_update");
  return JSON.stringify(edits.map(([edited, old]) => {
    try {
      validate.call(root, edited, old, userCtx, secObj);
    } catch (thrown) {
      if (thrown instanceof Error || isExhaustion(thrown) || isAnswer(thrown)) throw thrown;
      return { thrown };
    }
    return null;
  }));
}
