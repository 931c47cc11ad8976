/** The end of a run: waits until nothing is left to do, and looks at what is left then. */
import { STREAM_NAMES } from '../support/built.js';
import { assertNoLeaks } from '../support/leaks.js';
import { waitFor } from '../support/wait.js';
import { NO_RECORD } from './audit/states.js';
import type { Quarantine, Quiescence, StateRead } from './history.js';
import type { World } from './world.js';

/** How long the backlog may take to drain. A busy machine needs more than a quiet one, and a suspect waits in between. */
const DRAINS_WITHIN_MS = 120_000;

/** How long what has ended may need until the last of it is written. */
const SETTLES_WITHIN_MS = 15_000;

const STATES_AT_ONCE = 200;

/** How long it may take until each worker has run something of each partition. */
const EACH_WORKS_WITHIN_MS = 120_000;

/** What a worker is given to show that it works: many short bodies, so that there is more than the others can take. */
const PROBES = 60;
const PROBE_MS = 250;

/** Waits until the docket has come to rest, and says what is left. */
export async function comeToRest(world: World): Promise<Quiescence> {
  const beganMs = Date.now();
  const reachedMs = await drained(world);
  const idle = reachedMs === null ? [] : await idleWorkers(world);
  if (idle.length === 0) await drained(world);
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
  return { beganMs, reachedMs, leftovers: [...left, ...leaks], permits, unready: [...unready, ...idle] };
}

/** Waits until nothing is left to do, and says when that was. */
async function drained(world: World): Promise<number | null> {
  return await waitFor(async () => (await unfinished(world)).length === 0, { timeoutMs: DRAINS_WITHIN_MS })
    .then(() => Date.now())
    .catch(() => null);
}

/**
 * Adds work until each worker has run something of each partition: one whose reader is stuck hides behind the others. Returns
 * the workers that ran nothing, in words.
 */
async function idleWorkers(world: World): Promise<string[]> {
  const partitionOf = new Map<string, string>();
  const idle = async () => {
    for (const { id, key } of await world.load.addLong(PROBES, PROBE_MS)) {
      partitionOf.set(id, await prefixOf(world, key!));
    }
    await world.ended([...partitionOf.keys()]);
    const ran = world.history.attempts.filter(({ id }) => partitionOf.has(id));
    return world.places.flatMap(({ name, process }) =>
      world.partitions.flatMap(({ prefix }) => {
        const isBusy = ran.some((one) => process?.ran(one) && partitionOf.get(one.id) === prefix);
        return isBusy ? [] : [`${name} ran nothing of ${prefix}, while the others ran ${ran.length} executions`];
      }),
    );
  };
  let last: string[] = [];
  const isOver = async () => {
    last = await idle();
    return last.length === 0;
  };
  await waitFor(isOver, { timeoutMs: EACH_WORKS_WITHIN_MS }).catch(() => {});
  return last;
}

/** The prefix of the partition that has the record of this key. */
async function prefixOf({ partitions }: World, key: string): Promise<string> {
  for (const { redis, prefix } of partitions) if ((await redis.exists(`${prefix}run:${key}`)) > 0) return prefix;
  return '';
}

/** Reads the state of each execution that has one. */
export async function readStates(world: World): Promise<StateRead[]> {
  const kept = world.load.added.filter(({ outcome, key }) => outcome === 'acknowledged' && key !== null);
  const reads: StateRead[] = [];
  for (let start = 0; start < kept.length; start += STATES_AT_ONCE) {
    const page = kept.slice(start, start + STATES_AT_ONCE);
    reads.push(...(await Promise.all(page.map(({ id, key }) => readOne(world, id, key!)))));
  }
  return reads;
}

async function readOne(world: World, id: string, key: string): Promise<StateRead> {
  const execution = await world.docket.getExecution(key);
  const state = execution?.state ?? NO_RECORD;
  const result = state === 'completed' ? ((await execution!.result()) as { readonly token: string }) : null;
  return { id, state, token: result?.token ?? null, atMs: Date.now() };
}

/** What was quarantined: messages that nobody can read have no key. */
export async function readQuarantine(world: World): Promise<Quarantine> {
  const sound: string[] = [];
  let kept = 0;
  for await (const { kind, key, reason } of world.docket.failures()) {
    if (kind !== 'quarantined') continue;
    if (key !== null) sound.push(key);
    else if (reason) kept += 1;
  }
  return { written: world.badMessages, kept, sound };
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
      const pending = await redis.xpending(prefix + stream, 'workers').catch(() => [0]); // there may be no group
      if (Number(pending[0]) > 0) found.push(`${pending[0]} entries of ${prefix}${stream} are still pending`);
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

async function unreadyWorkers({ places }: World): Promise<string[]> {
  const reasons = await Promise.all(
    places.map(async ({ name, process }) => [name, process === null ? 'it is not there' : await process.unreadiness()]),
  );
  return reasons.flatMap(([name, reason]) => (reason === null ? [] : [`${name} is not ready: ${reason}`]));
}
