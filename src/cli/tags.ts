// `--tag k=v`, in a job and as a filter.

import { QueuectlError } from '../errors.ts';

export function splitTags(tags: readonly string[]): [string, string][] {
  return tags.map((tag) => {
    const at = tag.indexOf('=');
    if (at > 0) return [tag.slice(0, at), tag.slice(at + 1)];
    throw new QueuectlError('invalid', `--tag must be NAME=VALUE, not ${JSON.stringify(tag)}`);
  });
}
