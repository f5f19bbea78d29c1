// Shows, lists, updates and rewrites: what answers a request.

// -- Content types: provides() and registerType() --------------------------------------------------

let typesOf = new Map(); // name -> MIME types
let nameOf = new Map(); // MIME type -> name
let provided = []; // [name, function], in the order given
let chosenType = null;

environment.registerType = function (name, ...types) {
  typesOf.set(name, types);
  for (const type of types) nameOf.set(type, name);
};

environment.provides = function (name, answer) {
  provided.push([name, answer]);
};

// The names that CouchDB knows from the start.
const USUAL_TYPES = {
  all: ["*/*"],
  text: ["text/plain; charset=utf-8", "txt"],
  html: ["text/html; charset=utf-8"],
  xhtml: ["application/xhtml+xml", "xhtml"],
  xml: ["application/xml", "text/xml", "application/x-xml"],
  js: ["text/javascript", "application/javascript", "application/x-javascript"],
  css: ["text/css"],
  ics: ["text/calendar"],
  csv: ["text/csv"],
  rss: ["application/rss+xml"],
  atom: ["application/atom+xml"],
  yaml: ["application/x-yaml", "text/yaml"],
  multipart_form: ["multipart/form-data"],
  url_encoded_form: ["application/x-www-form-urlencoded"],
  json: ["application/json", "text/x-json"],
};

function forgetTypes() {
  typesOf = new Map();
  nameOf = new Map();
  for (const name in USUAL_TYPES) environment.registerType(name, ...USUAL_TYPES[name]);
  provided = [];
  chosenType = null;
}

function parseRange(text) {
  const [type, ...parameters] = text.split(";").map((part) => part.trim());
  const [major, minor = "*"] = type.split("/");
  const quality = parameters.map((parameter) => /^q=([0-9.]+)$/.exec(parameter)).find(Boolean);
  return { major, minor, quality: quality ? Number(quality[1]) : 1 };
}

// RFC 9110, 12.5.1: the most specific range that fits decides. Of types that please alike the last wins, as in CouchDB.
function bestType(types, accept) {
  const ranges = accept.split(",").map(parseRange);
  let best = null;
  let bestQuality = 0;
  for (const type of types) {
    const { major, minor } = parseRange(type);
    let fit = -1;
    let quality = 0;
    for (const range of ranges) {
      if ((range.major !== "*" && range.major !== major) || (range.minor !== "*" && range.minor !== minor)) continue;
      const closeness = (range.major === major ? 2 : 0) + (range.minor === minor ? 1 : 0);
      if (closeness > fit) [fit, quality] = [closeness, range.quality];
    }
    if (quality > 0 && quality >= bestQuality) [best, bestQuality] = [type, quality];
  }
  return best;
}

function runProvided(req) {
  const accept = req.headers && req.headers.Accept;
  let name;
  if (req.query && req.query.format) {
    name = req.query.format;
    if (!typesOf.has(name)) throw new TypeError(`format ${name} is not registered`);
    chosenType = typesOf.get(name)[0];
  } else if (accept) {
    provided.reverse();
    chosenType = bestType(provided.flatMap(([type]) => typesOf.get(type) ?? []), accept);
    name = nameOf.get(chosenType);
  } else {
    name = provided[0][0];
    chosenType = typesOf.get(name)[0];
  }
  const found = provided.find(([type]) => type === name);
  if (!found) {
    const types = provided.map(([type]) => (typesOf.get(type) ?? [type]).join(", "));
    throw ["error", "not_acceptable", `Content-Type ${accept || name} not supported, try one of: ${types.join(", ")}`];
  }
  return found[1].call(root);
}

function withType(response) {
  response.headers ??= {};
  if (chosenType) response.headers["Content-Type"] ??= chosenType;
  return response;
}

// -- Output and rows ------------------------------------------------------------------------------

let chunks = [];
let startResponse = {};
let rows = []; // of the list that runs, as far as Python has sent them
let rowsRead = 0;
let rowsComplete = true;
let headSent = null; // the response's head, once rows are read or the function is over
let starving = false; // the function asked for a row that has not been sent

environment.start = function (response) {
  startResponse = response ?? {};
};

environment.send = function (chunk) {
  chunks.push(String(chunk));
};

// A function cannot wait for rows: Python cannot be called while a time limit is set. When it asks for more than it was sent,
// it is stopped, and run again from the start with more; nothing of its output has left by then.
environment.getRow = function () {
  headSent ??= withType(startResponse);
  if (rowsRead < rows.length) return rows[rowsRead++];
  if (rowsComplete) return null;
  starving = true;
  throw ["error", "more_rows", ""];
};

function forgetOutput() {
  chunks = [];
  startResponse = {};
  rows = [];
  rowsRead = 0;
  rowsComplete = true;
  headSent = null;
  starving = false;
}

// -- The functions --------------------------------------------------------------------------------

function isResponse(value) {
  return typeof value === "string" || (typeof value === "object" && value !== null && !Array.isArray(value));
}

function wrap(value) {
  return typeof value === "string" ? { body: value } : value;
}

function renderError(thrown) {
  if (isExhaustion(thrown) || isAnswer(thrown)) return thrown;
  if (thrown && thrown.error && thrown.reason) return ["error", thrown.error, thrown.reason];
  return ["error", "render_error", `function raised error: ${describe(thrown)} \nstacktrace: ${traceback(thrown)}`, identity(thrown)];
}

function show({ name, doc, req }) {
  const render = member("shows", name);
  forgetTypes();
  forgetOutput();
  try {
    const answer = wrap(render.call(root, doc, req) || {});
    if (!isResponse(answer)) throw ["error", "render_error", "undefined response from show function"];
    // What a show gives to start() is lost in CouchDB, and so it is here.
    if (chunks.length) answer.body = chunks.splice(0).join("") + (answer.body ?? "");
    if (provided.length) {
      const rest = wrap(runProvided(req) || {});
      answer.body = (answer.body ?? "") + chunks.join("") + (rest.body ?? "");
      if (rest.base64 !== undefined && !answer.body) [answer.base64, answer.body] = [rest.base64, undefined];
      withType(answer);
    }
    return JSON.stringify(answer);
  } catch (thrown) {
    throw renderError(thrown);
  }
}

function update({ name, doc, req }) {
  const change = member("updates", name);
  forgetTypes();
  forgetOutput();
  try {
    if (req.method === "GET") throw ["error", "method_not_allowed", "Update functions do not allow GET"];
    const result = change.call(root, doc, req);
    const [edited, answer] = [result[0], result[1]];
    if (!isResponse(answer)) throw ["error", "render_error", "undefined response from update function"];
    return JSON.stringify([edited, wrap(answer)]);
  } catch (thrown) {
    throw renderError(thrown);
  }
}

// null asks for more rows.
function list({ name, head, req, rows: sent, complete }) {
  const render = member("lists", name);
  forgetTypes();
  forgetOutput();
  [rows, rowsComplete] = [sent, complete];
  try {
    let tail = render.call(root, head, req);
    if (provided.length) tail = runProvided(req);
    headSent ??= withType(startResponse);
    if (tail !== undefined) chunks.push(String(tail));
    return starving ? "null" : JSON.stringify([headSent, chunks]);
  } catch (thrown) {
    if (starving && !isExhaustion(thrown)) return "null";
    throw renderError(thrown);
  }
}

function rewrite({ req }) {
  const route = member("rewrites");
  try {
    const result = route.call(root, req);
    if (!result) return "null";
    return JSON.stringify(typeof result === "string" ? { path: result, method: req.method } : result);
  } catch (thrown) {
    if (thrown && (thrown.forbidden || thrown.unauthorized)) return JSON.stringify({ thrown });
    throw renderError(thrown);
  }
}
