// PouchDB on leveldb building indexes: reads documents as JSON lines, prints rates (documents a second) as JSON.
// node pouchdb_queries.js MODULES DATABASE DOCUMENTS BATCH
"use strict";

const fs = require("fs");
const path = require("path");

const [modules, name, documents, batchText] = process.argv.slice(2);
const PouchDB = require(path.join(modules, "pouchdb"));
PouchDB.plugin(require(path.join(modules, "pouchdb-find")));
const batch = Number(batchText);

async function rate(count, work) {
  const start = process.hrtime.bigint();
  await work();
  return count / (Number(process.hrtime.bigint() - start) / 1e9);
}

async function main() {
  const docs = fs.readFileSync(documents, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
  const db = new PouchDB(name);
  for (let at = 0; at < docs.length; at += batch) await db.bulkDocs(docs.slice(at, at + batch));
  const map = "function (doc) { emit([doc.city, doc.visits], doc.age); }";
  await db.put({ _id: "_design/plain", views: { rows: { map } } });
  const rates = {};
  rates.view = await rate(docs.length, () => db.query("plain/rows", { limit: 1 }));
  rates.index = await rate(docs.length, () => db.createIndex({ index: { fields: ["visits"] } }));
  await db.close();
  console.log(JSON.stringify(rates));
}

main();
