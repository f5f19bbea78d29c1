// PouchDB on leveldb replicating with a server, once: prints the seconds that it took.
// node pouchdb_replication.js MODULES DATABASE from|to URL
"use strict";

const path = require("path");

const [modules, name, way, url] = process.argv.slice(2);
const PouchDB = require(path.join(modules, "pouchdb"));

async function main() {
  const db = new PouchDB(name);
  await db.info();
  const start = process.hrtime.bigint();
  const result = await db.replicate[way](url);
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  if (!result.ok || result.doc_write_failures) throw new Error(JSON.stringify(result));
  await db.close();
  console.log(seconds);
}

main();
