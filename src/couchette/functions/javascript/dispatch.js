// The seam to Python: dispatch(command, JSON text) -> JSON text [answer, messages, null] or [null, messages, [word, reason]].
//
// Only running out of time, memory or stack leaves it as an exception, after which Python throws the context away.

const compiled = new Map(); // path of a member of the design document -> function

function member(...path) {
  const key = path.join("\u0000");
  if (!compiled.has(key)) compiled.set(key, compile(path.reduce((value, step) => value[step], root)));
  return compiled.get(key);
}

const COMMANDS = {
  // The design document, which functions see as `this` and read by require(). It is never changed.
  design(members) {
    root = freezeDeeply(members);
    return "null";
  },
  mappers({ sources, plain: given }) {
    plain = given;
    mappers = sources.map(compile);
    return "null";
  },
  indexers: prepareIndexers,
  compile(source) {
    compile(source);
    return "null";
  },
  map: mapDocuments,
  reduce: reduceValues,
  filter: filterDocuments,
  filter_view: filterByView,
  validate: validateEdits,
  show,
  update,
  list,
  rewrite,
};

harden();

return function dispatch(command, text) {
  messages = [];
  let answer = "null";
  let error = null;
  try {
    answer = COMMANDS[command](JSON.parse(text));
  } catch (thrown) {
    if (isExhaustion(thrown)) throw thrown;
    error = isAnswer(thrown) ? thrown.slice(1)
      : thrown && thrown.error && thrown.reason ? [thrown.error, thrown.reason]
      : [thrown instanceof Error ? thrown.name : "unnamed_error", `${describe(thrown)}\n${traceback(thrown)}`];
  }
  if (hasStrays()) sweep();
  // Joined rather than added up: the binding cannot read the ropes that quickjs makes of long sums of strings.
  return ["[", answer, ",", JSON.stringify(messages), ",", JSON.stringify(error), "]"].join("");
};
