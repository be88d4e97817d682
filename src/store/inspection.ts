// What looking a storage over brings to light.

import type { ErrorCode } from '../errors.ts';

export interface Finding {
  /** What was looked at, in a word or two. */
  readonly check: string;
  readonly level: 'ok' | 'warning' | 'failure';
  readonly text: string;
  /** What to do about it. */
  readonly hint?: string;
  /** Of a failure: which one. */
  readonly code?: ErrorCode;
}
