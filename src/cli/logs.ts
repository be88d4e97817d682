// Logs of jobs that were deleted.

import type { Location } from '../location.ts';

/** Removes the logs of jobs by their keys. What removes them is loaded only where it is needed. */
export async function logRemover(
  location: Location,
): Promise<(keys: readonly number[]) => Promise<void>> {
  const { createLogStore } = await import('../worker/output.ts');
  const logs = createLogStore(location.jobLogs);
  return (keys) => logs.remove(keys);
}
