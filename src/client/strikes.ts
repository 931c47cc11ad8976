/** `docket.strikes()`: the strikes that are in force, for people and programs. */
import type { Redis } from 'ioredis';
import type { Keys } from '../redis/keys.js';
import { type DatedStrike, listStrikes } from '../redis/strike-store.js';
import type { StrikeInfo } from '../tasks/strike-info.js';
import { describeStrike, operandOf } from '../wire/strikes.js';

export async function strikeInfos(redis: Redis, keys: Keys): Promise<StrikeInfo[]> {
  return (await listStrikes(redis, keys)).map(infoOf);
}

function infoOf({ strike, sinceMs }: DatedStrike): StrikeInfo {
  const { task, test } = strike;
  return {
    task,
    parameter: test?.parameter ?? null,
    operator: test?.operator ?? null,
    ...(test && { value: operandOf(test) }),
    description: describeStrike(strike),
    since: new Date(sinceMs),
  };
}
