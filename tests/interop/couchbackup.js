// Backs a database up to a file and restores it into another, as a program with @cloudant/couchbackup does.
// node couchbackup.js SOURCE FILE TARGET
"use strict";

const fs = require("node:fs");
const couchbackup = require("@cloudant/couchbackup");

const [source, file, target] = process.argv.slice(2);
// Several batches, and more than one of them at a time.
const options = { bufferSize: 7, parallelism: 3, attachments: true, quiet: true };

function run(action, ...streams) {
  return new Promise((resolve, reject) => {
    action(...streams, (error, data) => (error ? reject(error) : resolve(data)));
  });
}

async function main() {
  const told = {};
  const log = { ...options, mode: "full", log: `${file}.log` };
  told.backup = (await run((...rest) => couchbackup.backup(source, fs.createWriteStream(file), log, ...rest))).total;
  told.restore = (await run((...rest) => couchbackup.restore(fs.createReadStream(file), target, options, ...rest))).total;
  console.log(JSON.stringify(told));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
