// The floor of `enqueue`: opens an existing database, inserts one row, commits it with
// synchronous=FULL and closes. Argument: the database, which floorDatabase in
// bench/startup.ts makes.

import { DatabaseSync } from 'node:sqlite';

const db = new DatabaseSync(process.argv[2] ?? '');
db.exec('PRAGMA synchronous = FULL');
db.exec('BEGIN IMMEDIATE');
db.prepare('INSERT INTO job (command) VALUES (?)').run('true');
db.exec('COMMIT');
db.close();
