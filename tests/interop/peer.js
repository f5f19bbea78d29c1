// A PouchDB in memory that a test drives: a line of JSON in, `[method, ...args]`, a line of JSON out.
// `replicate.to` and `replicate.from` are methods too; they answer when the replication has completed. `live` begins a
// sync that goes on and retries, `seen` answers when a document is there, `live.end` ends the sync.
"use strict";

const readline = require("node:readline");
const PouchDB = require("pouchdb");

PouchDB.plugin(require("pouchdb-adapter-memory"));
PouchDB.plugin(require("pouchdb-find"));

const db = new PouchDB("peer", { adapter: "memory" });

let live;

function seen(id) {
  return new Promise((resolve, reject) => {
    const changes = db.changes({ since: 0, live: true });
    changes.on("error", reject);
    changes.on("change", (change) => {
      if (change.id !== id) return;
      changes.cancel();
      resolve(change.id);
    });
  });
}

async function call(method, args) {
  if (method === "seen") return seen(...args);
  if (method === "live") {
    live = db.sync(args[0], { live: true, retry: true, back_off_function: () => 100 });
    live.catch((error) => console.error(error));
    return true;
  }
  if (method === "live.end") {
    const ended = new Promise((resolve) => live.on("complete", () => resolve(true)));
    live.cancel();
    return ended;
  }
  if (method === "replicate.to") return db.replicate.to(...args);
  if (method === "replicate.from") return db.replicate.from(...args);
  return db[method](...args);
}

async function main() {
  console.log(JSON.stringify({ ready: true }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [method, ...args] = JSON.parse(line);
    const answer = await call(method, args).then(
      (ok) => ({ ok }),
      (error) => ({ error: { status: error.status, name: error.name, message: error.message } }),
    );
    console.log(JSON.stringify(answer));
  }
}

main();
