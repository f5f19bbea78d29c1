// nano, the npm client of CouchDB's project, at its ordinary work: prints what it saw as JSON. node nano.js URL
"use strict";

const server = require("nano")(process.argv[2]);

const seen = {};

async function main() {
  await server.db.create("notes");
  const db = server.use("notes");
  const first = await db.insert({ kind: "note", n: 1 }, "a b/ü");
  await db.insert({ _id: "a b/ü", _rev: first.rev, kind: "note", n: 2 });
  seen.conflict = await db.insert({ _id: "a b/ü", _rev: first.rev, n: 3 }).then(() => 0, (error) => error.statusCode);
  seen.n = (await db.get("a b/ü")).n;
  await db.bulk({ docs: [0, 1, 2, 3, 4].map((n) => ({ _id: `d${n}`, n })) });
  seen.list = (await db.list()).rows.map((row) => row.id);
  await db.createIndex({ index: { fields: ["n"] }, name: "by-n" });
  seen.found = (await db.find({ selector: { n: { $gt: 2 } } })).docs.map((doc) => doc._id).sort();
  await db.insert({ views: { "by-n": { map: "function (doc) { emit(doc.n); }" } } }, "_design/views");
  seen.rows = (await db.view("views", "by-n", { descending: true, limit: 2 })).rows.map((row) => row.key);
  const content = Buffer.from(Array.from({ length: 10240 }, (_, n) => n % 256));
  const { _rev: rev } = await db.get("d0");
  await db.attachment.insert("d0", "p q.bin", content, "application/x-data", { rev });
  seen.attachment = content.equals(await db.attachment.get("d0", "p q.bin"));
  await db.destroy("d1", (await db.get("d1"))._rev);
  seen.changes = (await db.changes()).results.pop().id;
  const since = (await db.info()).update_seq;
  const followed = new Promise((resolve, reject) => {
    const reader = db.changesReader.get({ since, timeout: 20000 });
    reader.on("change", (change) => resolve(change.id)).on("error", reject);
  });
  await db.insert({ n: 5 }, "later");
  seen.followed = await followed;
  db.changesReader.stop();
  await useUsers();
  await server.db.destroy("notes");
  seen.databases = await server.db.list();
  console.log(JSON.stringify(seen));
}

// A user logs in and works in a database that is open to her; the administrator replicates it.
async function useUsers() {
  const base = process.argv[2];
  await server.use("_users").insert({ name: "ada", password: "lovelace", roles: [], type: "user" }, "org.couchdb.user:ada");
  await server.request({ db: "notes", path: "_security", method: "put", body: { members: { names: ["ada"] } } });
  const hers = require("nano")({ url: base.replace("admin:secret@", ""), jar: true });
  seen.shut = await hers.use("notes").info().then(() => 0, (error) => error.statusCode);
  await hers.auth("ada", "lovelace");
  seen.session = (await hers.session()).userCtx.name;
  seen.open = (await hers.use("notes").info()).doc_count;
  seen.replicated = (await server.db.replicate(`${base}/notes`, `${base}/there`, { create_target: true })).ok;
  await server.db.destroy("there");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
