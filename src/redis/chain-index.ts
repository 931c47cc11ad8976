/** Lists the chains that have records, and makes scheduled executions due. */
import type { Redis } from 'ioredis';
import type { ExecutionState, TerminalState } from '../core/states.js';
import type { Keys } from './keys.js';
import { BATCH_ITEMS } from './schema.js';
import { runScript } from './script.js';
import { placedTime, storedTime } from './stored-time.js';

/** The present run of a chain, as its record shows it. */
export interface ChainRecord {
  readonly key: string;
  readonly state: ExecutionState;
  readonly task: string;
  /** Server milliseconds. */
  readonly dueMs: number;
  /** What the record says about the chain, see `RECORD.chain`. */
  readonly chain: string;
  /** How the run before it ended; `null` for the first run. */
  readonly lastRun: LastRun | null;
}

export interface LastRun {
  readonly state: TerminalState;
  /** Server milliseconds. */
  readonly endedMs: number;
  /** Its error, or the reason why it ended without one; `null` for none. */
  readonly errorLine: string | null;
}

export interface ChainPage {
  /** The server's time, in milliseconds. */
  readonly nowMs: number;
  readonly chains: readonly ChainRecord[];
  /** The key behind which the next page begins; `null` after the last one. */
  readonly next: string | null;
}

/**
 * Reads a page of the chains, in the order of their keys. It may be empty although there are more.
 * @param after - the key behind which the page begins; `null` for the first page
 * @param task - only chains of the task of this name; `null` for all
 */
export async function listChains(
  redis: Redis,
  keys: Keys,
  after: string | null,
  task: string | null,
): Promise<ChainPage> {
  const args = [keys.prefix, after ?? '', BATCH_ITEMS, task ?? ''];
  const reply = ((await runScript(redis, 'list-chains', [keys.chains], args)) as Buffer[]).map(String);
  const [now, next] = reply as [string, string];
  const chains: ChainRecord[] = [];
  for (let at = 2; at < reply.length; at += FIELDS) chains.push(chainOf(reply.slice(at, at + FIELDS) as Fields));
  return { nowMs: Number(now), chains, next: next === '' ? null : next };
}

/** Makes an execution on the schedule due. Returns whether it was there. */
export async function runNow(redis: Redis, keys: Keys, key: string): Promise<boolean> {
  return (await runScript(redis, 'run-now', [keys.work, keys.front, keys.schedule], [keys.prefix, key])) === 1;
}

/** Whether the key is that of a chain in the index. */
export async function isChain(redis: Redis, keys: Keys, key: string): Promise<boolean> {
  return (await redis.zscore(keys.chains, key)) !== null;
}

const FIELDS = 7;

type Fields = [
  key: string,
  state: string,
  task: string,
  due: string,
  generation: string,
  chain: string,
  lastRun: string,
];

function chainOf([key, state, task, due, generation, chain, lastRun]: Fields): ChainRecord {
  const dueMs = storedTime(due) ?? placedTime(generation);
  return { key, state: state as ExecutionState, task, dueMs, chain, lastRun: lastRunOf(lastRun) };
}

function lastRunOf(text: string): LastRun | null {
  const [, state, ended, errorLine] = /^(completed|failed|cancelled) (\d+) (.*)$/s.exec(text) ?? [];
  const endedMs = storedTime(ended);
  return endedMs === null ? null : { state: state as TerminalState, endedMs, errorLine: errorLine || null };
}
