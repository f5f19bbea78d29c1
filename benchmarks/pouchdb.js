// PouchDB on leveldb at the benchmarks' work: reads documents as JSON lines, prints rates (operations a second) as JSON.
// node pouchdb.js MODULES DATABASE DOCUMENTS BATCH SINGLES
"use strict";

const fs = require("fs");
const path = require("path");

const [modules, name, documents, batchText, singlesText] = process.argv.slice(2);
const PouchDB = require(path.join(modules, "pouchdb"));
const batch = Number(batchText);
const singles = Number(singlesText);

async function rate(count, work) {
  const start = process.hrtime.bigint();
  await work();
  return count / (Number(process.hrtime.bigint() - start) / 1e9);
}

function* slices(docs) {
  for (let at = 0; at < docs.length; at += batch) yield docs.slice(at, at + batch);
}

async function main() {
  const lines = fs.readFileSync(documents, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
  const docs = lines.slice(0, -singles);
  const single = lines.slice(-singles);
  const db = new PouchDB(name);
  const revs = new Map();
  const write = async (some) => {
    for (const slice of slices(some)) for (const row of await db.bulkDocs(slice)) revs.set(row.id, row.rev);
  };
  const rates = {};
  rates.insert = await rate(docs.length, () => write(docs));
  const wanted = docs.filter((_, number) => number % 7 === 0).map((doc) => doc._id).reverse();
  rates.get = await rate(wanted.length, async () => {
    for (const id of wanted) await db.get(id);
  });
  rates.pages = await rate(docs.length, async () => {
    let rows = (await db.allDocs({ include_docs: true, limit: 100 })).rows;
    while (rows.length) {
      const startkey = rows[rows.length - 1].id;
      rows = (await db.allDocs({ include_docs: true, limit: 100, startkey, skip: 1 })).rows;
    }
  });
  rates.changes = await rate(docs.length, async () => {
    let page = await db.changes({ limit: 1000 });
    while (page.results.length) page = await db.changes({ limit: 1000, since: page.last_seq });
  });
  const changed = docs.map((doc) => ({ ...doc, visits: -1, _rev: revs.get(doc._id) }));
  rates.update = await rate(changed.length, () => write(changed));
  rates.put = await rate(single.length, async () => {
    for (const doc of single) await db.put(doc);
  });
  await db.close();
  console.log(JSON.stringify(rates));
}

main();
