// What a storage backend brings to be held to the contract. The suite knows nothing else
// about it: `contract('PostgreSQL', backend)` is all that a second one needs.

import type { OpenOptions } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';

/** The default export of a backend's module, which other processes load as well. */
export interface Backend {
  /** URL of that module. */
  readonly module: string;
  /**
   * A place for one new database; the first `open` makes it. `inMemory`: the test commits
   * tens of thousands of times and is not about disks, so it need not wait for one.
   */
  create(options?: { readonly inMemory?: boolean }): Promise<Database>;
  /** One more connection, from whichever process. */
  open(address: string, options: OpenOptions): Promise<Store>;
}

export interface Database {
  /** What `open` takes, as text. */
  readonly address: string;
  /** Fails where the backend's own tables disagree with each other. */
  check(): Promise<void>;
  /** Leaves nothing behind. All connections are closed before. */
  remove(): Promise<void>;
}
