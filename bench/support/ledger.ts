/** Counts and audits the work of a contender by its keys in Redis. The bench reads them itself, never through the contender. */
import type { ChainableCommander, Redis } from 'ioredis';
import { BULLMQ_QUEUE, DOCKET, RAW_STREAM, RAW_THREAD_STREAM } from '../peers/names.js';

export interface Ledger {
  /** Counts the tasks that are queued or running. O(1) for Redis, because it is called all the time. */
  left(admin: Redis): Promise<number>;
  /**
   * Lists what is wrong after a drain; the list is empty when nothing is.
   * @param added - how many tasks there were
   * @param kept - how many of them must have left a record with the state `completed`
   */
  audit(admin: Redis, added: number, kept: number): Promise<string[]>;
}

/** One partition of docket: its hash tag, with the braces, and a connection to the server that has it. */
export interface Place {
  readonly admin: Redis;
  readonly hashTag: string;
}

const DOCKET_STREAMS = ['work', 'front'] as const;

/** docket with one partition. */
export const docketLedger = docketLedgerOf([`{${DOCKET}}`]);

/** docket with partitions of these hash tags on one server. */
export function docketLedgerOf(hashTags: readonly string[]): Ledger {
  const places = (admin: Redis) => hashTags.map((hashTag) => ({ admin, hashTag }));
  return {
    async left(admin) {
      const keys = hashTags.flatMap((hashTag) => DOCKET_STREAMS.map((stream) => `${hashTag}:${stream}`));
      return await total(keys.reduce((pipeline, key) => pipeline.xlen(key), admin.pipeline()));
    },
    audit: (admin, added, kept) => auditDocket(places(admin), added, kept),
  };
}

/** Counts what is queued or running in all these partitions. */
export async function leftIn(places: readonly Place[]): Promise<number> {
  const counts = places.map(({ admin, hashTag }) => docketLedgerOf([hashTag]).left(admin));
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/** One script acknowledges an entry and removes it from its stream, so the length of the streams is what is left. */
export async function auditDocket(places: readonly Place[], added: number, kept: number): Promise<string[]> {
  const found = await countPlaces(places);
  return [
    ...leftovers(found),
    ...mismatches({ 'entries added': [found.added, added], 'completed records': [found.completed, kept] }),
  ];
}

/** Lists what is left of work that must have ended without a failure. */
export async function auditLeftovers(places: readonly Place[]): Promise<string[]> {
  return leftovers(await countPlaces(places));
}

type Counts = Awaited<ReturnType<typeof countPlace>>;

function leftovers({ left, pending, failures }: Counts): string[] {
  return mismatches({ 'tasks left': [left, 0], 'deliveries pending': [pending, 0], failures: [failures, 0] });
}

/** Adds up the counts of all these partitions. */
async function countPlaces(places: readonly Place[]): Promise<Counts> {
  const sums: Counts = { left: 0, pending: 0, added: 0, failures: 0, completed: 0 };
  for (const counts of await Promise.all(places.map(countPlace))) {
    for (const name of Object.keys(sums) as (keyof Counts)[]) sums[name] += counts[name];
  }
  return sums;
}

async function countPlace({ admin, hashTag }: Place) {
  const [work, front] = await Promise.all(DOCKET_STREAMS.map((stream) => streamState(admin, `${hashTag}:${stream}`)));
  return {
    left: work!.length + front!.length + (await admin.zcard(`${hashTag}:schedule`)),
    pending: work!.pending + front!.pending,
    added: work!.added,
    failures: await admin.xlen(`${hashTag}:failures`),
    completed: await countCompleted(admin, `${hashTag}:run:*`),
  };
}

/** Counts the entries that went to the stream `front`: requeued by a worker before they started, or redelivered. */
export async function countReturned(admin: Redis): Promise<number> {
  return (await streamState(admin, `{${DOCKET}}:front`)).added;
}

/** A job leaves `active` in the script that completes it. */
export const bullmqLedger: Ledger = {
  left: (admin) =>
    total(['wait', 'active'].reduce((pipeline, list) => pipeline.llen(bullmqKey(list)), admin.pipeline())),
  async audit(admin, added, kept) {
    return mismatches({
      'jobs left': [await bullmqLedger.left(admin), 0],
      'jobs added': [Number(await admin.get(bullmqKey('id'))), added],
      'jobs failed': [await admin.zcard(bullmqKey('failed')), 0],
      'jobs completed and kept': [await admin.zcard(bullmqKey('completed')), kept],
    });
  },
};

export const rawLedger = ledgerOf(RAW_STREAM);
export const rawThreadLedger = ledgerOf(RAW_THREAD_STREAM);

function ledgerOf(stream: string): Ledger {
  return {
    left: (admin) => admin.xlen(stream),
    async audit(admin, added) {
      const { length, pending, added: entries } = await streamState(admin, stream);
      return mismatches({
        [`entries left on ${stream}`]: [length, 0],
        [`entries pending on ${stream}`]: [pending, 0],
        [`entries added to ${stream}`]: [entries, added],
      });
    },
  };
}

function bullmqKey(name: string): string {
  return `bull:${BULLMQ_QUEUE}:${name}`;
}

/** Adds up the counts that a pipeline reads in one round trip. */
async function total(pipeline: ChainableCommander): Promise<number> {
  const replies = (await pipeline.exec()) ?? [];
  return replies.reduce((sum, [error, count]) => {
    if (error) throw error;
    return sum + Number(count);
  }, 0);
}

function mismatches(facts: Readonly<Record<string, readonly [found: number, expected: number]>>): string[] {
  return Object.entries(facts)
    .filter(([, [found, expected]]) => found !== expected)
    .map(([fact, [found, expected]]) => `${fact}: ${found} instead of ${expected}`);
}

/** `entries-added` never shrinks, so it shows how much was added even after everything was deleted. */
async function streamState(admin: Redis, stream: string): Promise<{ length: number; added: number; pending: number }> {
  if (!(await admin.exists(stream))) return { length: 0, added: 0, pending: 0 };
  const info = record(await admin.xinfo('STREAM', stream));
  const groups = (await admin.xinfo('GROUPS', stream)) as unknown[];
  const pending = groups.reduce<number>((total, group) => total + Number(record(group).pending), 0);
  return { length: Number(info.length), added: Number(info['entries-added']), pending };
}

/** Converts the flat reply [name, value, ...] of Redis to a record. */
function record(flat: unknown): Record<string, unknown> {
  const values = flat as unknown[];
  return Object.fromEntries(values.flatMap((name, i) => (i % 2 === 0 ? [[name, values[i + 1]]] : [])));
}

/** Counts the completed records. Their fields are listed in `src/redis/scripts/README.md`; `s` is the state. */
async function countCompleted(admin: Redis, pattern: string): Promise<number> {
  let completed = 0;
  for await (const keys of admin.scanStream({ match: pattern, count: 1_000 }) as AsyncIterable<string[]>) {
    const states = await Promise.all(keys.map((key) => admin.hget(key, 's')));
    completed += states.filter((state) => state === 'completed').length;
  }
  return completed;
}
