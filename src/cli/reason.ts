// Why a system call failed, in words people understand; apart from files.ts because every
// command needs it and few read files.

import { systemCode } from '../errors.ts';

const REASONS = new Map([
  ['ENOENT', 'there is no such file'],
  ['EACCES', 'permission denied'],
  ['EISDIR', 'it is a directory'],
  ['ENOTDIR', 'a part of the path is no directory'],
  ['ELOOP', 'too many symbolic links'],
]);

export function reasonOf(error: unknown): string {
  const known = REASONS.get(systemCode(error) ?? '');
  if (known !== undefined) return known;
  const text = error instanceof Error ? error.message : String(error);
  // `ENOSPC: no space left on device, write` → `no space left on device`
  return text.replace(/^[A-Z0-9]+: /, '').replace(/, [a-z]+( .*)?$/, '');
}
