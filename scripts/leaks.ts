// Loaded into every test process (--import). A test file whose process does not end after
// its last test has leaked a timer, a child or a handle: node would wait for it for ever, and
// --test-force-exit would hide it. This fails the file and says what it was.

import { after } from 'node:test';

const PATIENCE_MS = 10_000;

// The runner itself loads this file too, and has no tests of its own.
if (process.env['NODE_TEST_CONTEXT'] !== undefined) {
  after(() => {
    setTimeout(() => {
      const held = process.getActiveResourcesInfo().join(', ');
      console.error(`still running ${PATIENCE_MS / 1000} s after its last test: ${held}`);
      process.exit(1);
    }, PATIENCE_MS).unref();
  });
}
