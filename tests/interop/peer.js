// A PouchDB in memory that a test drives: a line of JSON in, `[method, ...args]`, a line of JSON out.
// `replicate.to` and `replicate.from` are methods too; they answer when the replication has completed.
"use strict";

const readline = require("node:readline");
const PouchDB = require("pouchdb");

PouchDB.plugin(require("pouchdb-adapter-memory"));

const db = new PouchDB("peer", { adapter: "memory" });

async function call(method, args) {
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
