/** `docket.limits()`: which concurrency limits are in use, who holds their permits, and who waits for them. */
import type { Redis } from 'ioredis';
import { InvalidOptionError } from '../core/errors.js';
import { checkOptionNames, optionNames } from '../core/options.js';
import type { Keys } from '../redis/keys.js';
import { type Holder, type LimitBounds, type LimitRecord, readLimits } from '../redis/limit-store.js';
import type { LimitHolder, LimitInfo, LimitsOptions } from '../tasks/limit-info.js';
import { limitText } from '../tasks/limit-text.js';

const OPTION_NAMES = optionNames<LimitsOptions>({ limit: true, each: true });

/** @throws InvalidOptionError when a number is out of range */
export function limitBounds(options: LimitsOptions): LimitBounds {
  checkOptionNames(options, OPTION_NAMES, 'limits.');
  const { limit = 100, each = 10 } = options;
  checkRange('limit', limit, 1, 1_000);
  checkRange('each', each, 0, 100);
  return { limits: limit, each };
}

export async function listLimits(redis: Redis, keys: Keys, bounds: LimitBounds): Promise<LimitInfo[]> {
  return (await readLimits(redis, keys, bounds)).map(infoOf);
}

function infoOf({ limit, max, taken, waiting, holders, waiters }: LimitRecord): LimitInfo {
  return {
    name: limit,
    description: limitText(limit),
    max,
    taken,
    waiting,
    holders: holders.map(holderOf),
    waiters: waiters.map(({ key, task, dueMs }) => ({ key, task, since: new Date(dueMs) })),
  };
}

function holderOf({ key, task, state, startedMs, reader }: Holder): LimitHolder {
  const hasBegun = state === 'running' && startedMs !== null;
  return { key, task, worker: reader, since: hasBegun ? new Date(startedMs) : null };
}

function checkRange(option: string, value: number, low: number, high: number): void {
  if (Number.isSafeInteger(value) && value >= low && value <= high) return;
  throw new InvalidOptionError(option, `expected a whole number from ${low} to ${high}, got ${value}`);
}
