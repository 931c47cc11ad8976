/** `docket.schedules()`: reads the chains of a docket page by page, and works out when they run next. */
import type { Redis } from 'ioredis';
import { checkOptionNames, optionNames, wholeNumberOf } from '../core/options.js';
import { type ChainPage, type ChainRecord, listChains } from '../redis/chain-index.js';
import type { Keys } from '../redis/keys.js';
import { parseChainText, upcomingRuns } from '../tasks/chain.js';
import { describeInterval } from '../tasks/describe.js';
import type { PerpetualData } from '../tasks/policies.js';
import type { Schedule, SchedulesOptions } from '../tasks/schedules.js';
import { checkedTaskName } from './task-name.js';

const OPTION_NAMES = optionNames<SchedulesOptions>({ task: true, limit: true });
const NEXT_RUNS = 3;

/** Which schedules to list. */
export interface SchedulesQuery {
  /** `null` for all tasks. */
  readonly task: string | null;
  readonly limit: number;
}

/** @throws InvalidOptionError when one cannot be used */
export function schedulesQuery(options: SchedulesOptions): SchedulesQuery {
  checkOptionNames(options, OPTION_NAMES, 'schedules.');
  const { task, limit } = options;
  return {
    task: task === undefined ? null : checkedTaskName(task),
    limit: limit === undefined ? Number.POSITIVE_INFINITY : wholeNumberOf(limit, 1, 'limit'),
  };
}

/**
 * Lists schedules in the order of their keys. Reads a page when the one before is used up.
 * @param read - sends commands
 */
export async function* listSchedules(
  read: <T>(commands: (redis: Redis, keys: Keys) => Promise<T>) => Promise<T>,
  { task, limit }: SchedulesQuery,
): AsyncGenerator<Schedule, void> {
  let left = limit;
  let after: string | null = null;
  do {
    const page: ChainPage = await read((redis, keys) => listChains(redis, keys, after, task));
    const inWords = page.chains.length > 0 ? await loadCronInWords() : null;
    for (const chain of page.chains) {
      const schedule = scheduleOf(chain, page.nowMs, inWords!);
      if (schedule === null) continue;
      yield schedule;
      left -= 1;
      if (left === 0) return;
    }
    after = page.next;
  } while (after !== null);
}

type CronInWords = (expression: string) => string;

/** Loads cronstrue when the first schedule is listed: nothing else needs it. */
async function loadCronInWords(): Promise<CronInWords> {
  const { default: cronstrue } = await import('cronstrue');
  return (expression) => {
    try {
      return cronstrue.toString(expression, { use24HourTimeFormat: true });
    } catch {
      return expression; // croner reads a few expressions that cronstrue does not
    }
  };
}

/** Returns `null` when somebody else has written the record. */
function scheduleOf(record: ChainRecord, nowMs: number, inWords: CronInWords): Schedule | null {
  const chain = parseChainText(record.chain);
  if (chain === null) return null;
  const { key, task, dueMs, state, lastRun } = record;
  const { policy, untilMs, runsLeft } = chain;
  const upcoming = upcomingRuns(chain, { dueMs, isScheduled: state === 'scheduled' }, nowMs, NEXT_RUNS);
  return {
    key,
    task,
    policy: policyOf(policy),
    description: policy.kind === 'cron' ? inWords(policy.expression) : describeInterval(policy.everyMs),
    nextRuns: upcoming.map((ms) => new Date(ms)),
    lastOutcome: lastRun && {
      state: lastRun.state,
      at: new Date(lastRun.endedMs),
      errorLine: lastRun.errorLine,
    },
    runsLeft,
    until: untilMs === null ? null : new Date(untilMs),
    isAutomatic: policy.isAutomatic && key === task,
  };
}

function policyOf({ isAutomatic: _, ...policy }: PerpetualData): Schedule['policy'] {
  return policy;
}
