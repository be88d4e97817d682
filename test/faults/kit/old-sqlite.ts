// Loaded before queuectl (--import): its SQLite says that it is of a version with the bug
// that corrupts shared databases. Fault 20.

import { DatabaseSync, type StatementSync } from 'node:sqlite';

const prepare: (this: DatabaseSync, sql: string) => StatementSync = Reflect.get(
  DatabaseSync.prototype,
  'prepare',
);

DatabaseSync.prototype.prepare = function prepareOld(this: DatabaseSync, sql): StatementSync {
  return prepare.call(this, sql.replace('sqlite_version()', "'3.51.2'"));
};
