/** Where the Redis of the tests is: one that is installed, never one that runs. */

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The path of `redis-server`, or null where it is not installed. */
export const REDIS_BINARY: string | null =
  (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'redis-server'))
    .find(isExecutable) ?? null;

export const NO_REDIS = 'redis-server is not installed';

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
