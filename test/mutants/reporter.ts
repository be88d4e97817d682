// A reporter for node:test: one line of JSON for every test that has passed or failed.

import type { TestEvent } from 'node:test/reporters';

export interface Reported {
  readonly name: string;
  readonly passed: boolean;
  readonly skipped: boolean;
  /** What the test threw; '' where it passed. */
  readonly message: string;
}

export default async function* reporter(
  events: AsyncIterable<TestEvent>,
): AsyncGenerator<string, void> {
  for await (const event of events) {
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const { name, details, skip } = event.data;
    const error: unknown = 'error' in details ? details.error : null;
    const reported: Reported = {
      name,
      passed: event.type === 'test:pass',
      skipped: skip !== undefined && skip !== false,
      message: error === null ? '' : told(error),
    };
    yield `${JSON.stringify(reported)}\n`;
  }
}

/** node:test wraps what a test threw. */
function told(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : told(error.cause);
}
