// The floor of recording results: how fast this disk takes commits, whatever is in them.
// Arguments: a new database, how many rows, how many of them a commit. Prints ms.

import { DatabaseSync } from 'node:sqlite';

const [path = '', ...numbers] = process.argv.slice(2);
const [rows = 0, each = 1] = numbers.map(Number);
const db = new DatabaseSync(path);
db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
db.exec('CREATE TABLE job (key INTEGER PRIMARY KEY, command TEXT NOT NULL) STRICT');
const insert = db.prepare('INSERT INTO job (command) VALUES (?)');
const begun = performance.now();
for (let row = 0; row < rows; row += each) {
  db.exec('BEGIN IMMEDIATE');
  for (let i = 0; i < each; i += 1) insert.run('true');
  db.exec('COMMIT');
}
const ms = performance.now() - begun;
db.close();
console.log(JSON.stringify({ ms }));
