// Guards of the database file and of what is promised about it (guarantees 1 and 12).

import { contract, edit, type Mutant, named } from './mutant.ts';

const CONNECTION = 'src/store/sqlite/connection.ts';
const FILE = 'src/store/sqlite/file.ts';
const NEW = 'test/contract/sqlite-new.test.ts';
const REFUSED = 'test/contract/sqlite-refused.test.ts';

export const DATABASE_MUTANTS: readonly Mutant[] = [
  {
    name: 'IMMEDIATE: who writes takes the lock before it reads',
    edits: [
      edit(
        CONNECTION,
        "this.#transaction('BEGIN IMMEDIATE', body)",
        "this.#transaction('BEGIN', body)",
      ),
    ],
    caughtBy: named(
      'test/contract/sqlite-plans.test.ts',
      'who writes takes the lock before it reads, who looks never writes',
    ),
  },
  {
    name: 'a lock is waited for',
    edits: [edit(CONNECTION, 'if (!isBusy(error)) throw', 'throw')],
    caughtBy: named(
      'test/contract/sqlite-waits.test.ts',
      'with more patience the same write goes through once the lock is free',
    ),
  },
  {
    name: 'synchronous=FULL',
    edits: [
      edit(CONNECTION, 'PRAGMA synchronous = FULL;', 'PRAGMA synchronous = NORMAL;'),
      edit(CONNECTION, 'synchronous !== 2', 'synchronous !== 1'),
    ],
    caughtBy: named('test/faults/power-loss.test.ts', 'of a job'),
  },
  {
    name: 'synchronous is read back',
    edits: [edit(CONNECTION, ' || synchronous !== 2', '')],
    caughtBy: named(NEW, 'a SQLite that does not sync is refused'),
  },
  {
    name: 'transaction around the migration',
    edits: [
      edit(
        CONNECTION,
        'await this.write(() => migrate(this.#db, this.#path))',
        'migrate(this.#db, this.#path)',
      ),
    ],
    caughtBy: named(
      'test/faults/migration-killed.test.ts',
      'killed at each statement of a migration: the old schema or the new one',
    ),
  },
  {
    name: 'a newer schema is refused',
    edits: [
      edit(
        'src/store/sqlite/migrate.ts',
        'if (found <= SCHEMA_VERSION) return null;',
        'if (found >= 0) return null;',
      ),
    ],
    caughtBy: named(REFUSED, 'a newer schema: refused as such'),
  },
  {
    name: 'a database of somebody else is refused',
    edits: [edit(FILE, 'stat.uid !== uid', 'stat.uid < 0')],
    caughtBy: named(REFUSED, 'a database of somebody else: foreign_owner'),
  },
  {
    name: 'an empty file is not taken for an empty database',
    edits: [edit(FILE, 'if (size > 0) return;', 'if (size >= 0) return;')],
    caughtBy: named(REFUSED, 'an empty file: damaged'),
  },
  {
    name: 'a database of another program is refused',
    edits: [
      edit(
        CONNECTION,
        "if (this.#scalar('PRAGMA application_id') !== APPLICATION_ID)",
        "if (this.#scalar('PRAGMA application_id') === APPLICATION_ID + 1)",
      ),
    ],
    caughtBy: named(REFUSED, 'a SQLite database of somebody else, in WAL mode: foreign'),
  },
  {
    name: 'a new database is made over nobody else’s WAL',
    edits: [
      edit(
        'src/store/sqlite/create.ts',
        '  refuseWalWithoutDatabase(path);\n  ',
        '  void refuseWalWithoutDatabase;\n  ',
      ),
    ],
    caughtBy: named(NEW, 'a database that is gone but for its WAL is not made anew over it'),
  },
  {
    name: 'private files',
    edits: [
      edit('src/store/sqlite/create.ts', "openSync(draft, 'wx', 0o600)", "openSync(draft, 'wx')"),
    ],
    caughtBy: named(NEW, 'all its files are 0600, whatever the umask'),
  },
  {
    name: 'a home of somebody else is refused',
    edits: [edit('src/location.ts', 'stats.uid === me) return;', 'stats.uid >= 0) return;')],
    caughtBy: named('test/unit/home.test.ts', 'somebody else’s home is refused, to root too'),
  },
  {
    name: 'the store notices that its file was replaced',
    edits: [
      edit(
        CONNECTION,
        'if (file?.ino !== this.#file.ino || file.dev !== this.#file.dev)',
        'if (file === null)',
      ),
    ],
    caughtBy: named(
      'test/contract/sqlite-replaced.test.ts',
      'a database that is replaced by another one: replaced',
    ),
  },
  {
    name: 'whoever waits is woken',
    edits: [
      edit(
        'src/store/sqlite/store.ts',
        '    touchWakeFile(this.#wakeFile, this.#env.now());\n    return result;\n  }\n\n  #read',
        '    return result;\n  }\n\n  #read',
      ),
    ],
    caughtBy: contract('a watch rings soon after a commit by another process'),
  },
  {
    name: 'an unsafe SQLite is refused',
    edits: [
      edit(
        CONNECTION,
        'if (isSafeVersion(version)) return;',
        'if (isSafeVersion(version) || version) return;',
      ),
    ],
    caughtBy: named(NEW, 'a SQLite that is of a version that corrupts is refused'),
  },
  {
    name: 'of many first starts one makes the database',
    edits: [
      edit('src/store/sqlite/create.ts', 'linkSync(draft, path);', 'renameSync(draft, path);'),
      edit('src/store/sqlite/create.ts', 'linkSync, ', 'renameSync, linkSync, '),
    ],
    caughtBy: named(NEW, '20 first opens at once in 20 processes: all work, on one database'),
  },
  {
    name: 'the schema is looked at again under the lock',
    edits: [
      edit('src/store/sqlite/migrate.ts', 'if (tooNew !== null) throw tooNew;', 'void tooNew;'),
    ],
    caughtBy: named(NEW, 'a schema that was migrated further meanwhile is not put back'),
  },
];
