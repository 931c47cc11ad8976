/** The end of a run: waits until nothing is left to do, and looks at what is left then. */
import { STREAM_NAMES } from '../support/built.js';
import { assertNoLeaks } from '../support/leaks.js';
import { waitFor } from '../support/wait.js';
import { NO_RECORD } from './audit/states.js';
import type { Quiescence, StateRead } from './history.js';
import type { World } from './world.js';

/** How long the backlog may take to drain. A busy machine needs more than a quiet one, and a suspect waits in between. */
const DRAINS_WITHIN_MS = 120_000;

/** How long what has ended may need until the last of it is written. */
const SETTLES_WITHIN_MS = 15_000;

const STATES_AT_ONCE = 200;

/** Waits until the docket has come to rest, and says what is left. */
export async function comeToRest(world: World): Promise<Quiescence> {
  const beganMs = Date.now();
  const reachedMs = await waitFor(async () => (await unfinished(world)).length === 0, { timeoutMs: DRAINS_WITHIN_MS })
    .then(() => Date.now())
    .catch(() => null);
  const patience = { timeoutMs: SETTLES_WITHIN_MS };
  await waitFor(async () => Object.keys(await permitsTaken(world)).length === 0, patience).catch(() => {});
  await waitFor(async () => (await unreadyWorkers(world)).length === 0, { timeoutMs: 2 * SETTLES_WITHIN_MS }).catch(
    () => {},
  );
  const [left, leaks, permits, unready] = [
    await unfinished(world),
    await leaksIn(world),
    await permitsTaken(world),
    await unreadyWorkers(world),
  ];
  return { beganMs, reachedMs, leftovers: [...left, ...leaks], permits, unready };
}

/** Reads the state of each execution that has one. */
export async function readStates(world: World): Promise<StateRead[]> {
  const kept = world.load.added.filter(({ outcome, key }) => outcome === 'acknowledged' && key !== null);
  const reads: StateRead[] = [];
  for (let start = 0; start < kept.length; start += STATES_AT_ONCE) {
    const page = kept.slice(start, start + STATES_AT_ONCE);
    reads.push(...(await Promise.all(page.map(({ id, key, shape }) => readOne(world, id, key!, shape === 'result')))));
  }
  return reads;
}

async function readOne(world: World, id: string, key: string, hasToken: boolean): Promise<StateRead> {
  const execution = await world.docket.getExecution(key);
  const state = execution?.state ?? NO_RECORD;
  const isRead = hasToken && state === 'completed';
  const result = isRead ? ((await execution!.result()) as { readonly token: string }) : null;
  return { id, state, token: result?.token ?? null, atMs: Date.now() };
}

/** How many messages were kept because nobody can read them. */
export async function countQuarantined(world: World): Promise<number> {
  let count = 0;
  for await (const { kind } of world.docket.failures()) if (kind === 'quarantined') count += 1;
  return count;
}

/** What is still on the streams and on the schedule, in words. */
async function unfinished({ partitions }: World): Promise<string[]> {
  const found: string[] = [];
  for (const { redis, prefix } of partitions) {
    const scheduled = await redis.zrange(`${prefix}schedule`, '0', '4');
    if (scheduled.length > 0) found.push(`the schedule of ${prefix} still has ${scheduled.join(', ')}`);
    for (const stream of STREAM_NAMES) {
      const count = await redis.xlen(prefix + stream);
      if (count > 0) found.push(`${count} entries are still on ${prefix}${stream}`);
    }
  }
  return found;
}

async function leaksIn({ partitions }: World): Promise<string[]> {
  const found: string[] = [];
  for (const { redis, prefix } of partitions) {
    await assertNoLeaks(redis, prefix).catch((error: unknown) =>
      found.push(`${prefix} has ${(error as Error).message}`),
    );
  }
  return found;
}

async function permitsTaken({ partitions }: World): Promise<Record<string, number>> {
  const taken: Record<string, number> = {};
  for (const { redis, prefix } of partitions) {
    for (const [limit, count] of Object.entries(await redis.hgetall(`${prefix}held`))) {
      if (Number(count) !== 0) taken[limit] = Number(count);
    }
  }
  return taken;
}

async function unreadyWorkers({ slots }: World): Promise<string[]> {
  const reasons = await Promise.all(
    slots.map(async ({ name, process }) => [name, process === null ? 'it is not there' : await process.unreadiness()]),
  );
  return reasons.flatMap(([name, reason]) => (reason === null ? [] : [`${name} is not ready: ${reason}`]));
}
