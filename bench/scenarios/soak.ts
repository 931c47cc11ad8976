/**
 * Does anything grow while docket works at its full rate for a long time? One worker process and one producer work on tasks of all
 * kinds. Every quarter of a minute the producer stops, everything that waits runs, and the records expire. What the processes and
 * the server hold is read then, so that the figures do not depend on the backlog.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { DOCKET } from '../peers/names.js';
import type { SoakAnswer, SoakProducerSettings, SoakRequest } from '../peers/soak-producer.js';
import type { Resources } from '../peers/soak-resources.js';
import type { SoakWorkerSettings } from '../peers/soak-worker.js';
import { auditLeftovers, docketLedger } from '../support/ledger.js';
import { Peer } from '../support/peer.js';
import { status } from '../support/print.js';
import type { BenchRedis } from '../support/redis-server.js';
import { atMost, type Report, type Verdict } from '../support/report.js';
import { spread } from '../support/stats.js';

const THREADS = 2;
const FULL_RATE_MS = 12_000;
const KEPT_MS = 1_000;
/** The server forgets expired records in its own time. */
const FORGOTTEN_MS = 2_000;
const STUCK_MS = 30_000;
/** What the last third may hold, as a multiple of what the first third held after the warm-up. */
const FLAT = 1.1;
/** The part of the samples that is left out, because caches and heaps still fill. */
const WARM_UP = 1 / 6;
const MB = 1_048_576;
/** A key for each minute, which expires. */
const HISTORY = ':history';

/** What is held at one moment; a quantity is `null` where there is no /proc. */
interface Sample {
  readonly minute: number;
  readonly tasks: number;
  readonly 'tasks/s': number;
  readonly 'worker heap, MB': number;
  readonly 'worker RSS, MB': number | null;
  readonly 'worker handles': number;
  readonly 'worker threads': number | null;
  readonly 'worker files': number | null;
  readonly 'producer heap, MB': number;
  readonly 'producer handles': number;
  readonly 'Redis, MB': number;
  readonly 'Redis keys': number;
  readonly 'Redis clients': number;
}

const FLAT_COLUMNS = [
  'worker heap, MB',
  'worker RSS, MB',
  'worker handles',
  'worker threads',
  'worker files',
  'producer heap, MB',
  'producer handles',
  'Redis, MB',
  'Redis keys',
  'Redis clients',
] as const satisfies readonly (keyof Sample)[];

export async function soak(redis: BenchRedis, { minutes }: { minutes: number }): Promise<Report> {
  await redis.reset();
  const workerSettings: SoakWorkerSettings = { url: redis.url, threads: THREADS };
  const producerSettings: SoakProducerSettings = { url: redis.url, keptMs: KEPT_MS };
  const worker = await Peer.start('soak-worker', workerSettings);
  const producer = await Peer.start('soak-producer', producerSettings);
  await worker.request();
  const samples: Sample[] = [];
  const problems: string[] = [];
  const startMs = performance.now();
  const minute = () => (performance.now() - startMs) / 60_000;
  let tasks = 0;
  while (minute() < minutes) {
    status(`soak: minute ${minute().toFixed(1)} of ${minutes}, ${tasks} tasks`);
    const beganMs = performance.now();
    const request: SoakRequest = { ms: FULL_RATE_MS };
    const answer = await producer.request<SoakAnswer>(request);
    await untilEmpty(redis);
    const seconds = (performance.now() - beganMs) / 1e3;
    tasks += answer.added;
    if (answer.wrong > 0) problems.push(`${answer.wrong} results are wrong`);
    await sleep(KEPT_MS + FORGOTTEN_MS);
    const { heapBytes, handles } = await worker.request<Resources>();
    samples.push({
      minute: minute(),
      tasks,
      'tasks/s': answer.added / seconds,
      'worker heap, MB': heapBytes / MB,
      'worker RSS, MB': readStatus(worker.pid, 'VmRSS', 1 / 1_024),
      'worker handles': handles,
      'worker threads': readStatus(worker.pid, 'Threads'),
      'worker files': countFiles(worker.pid),
      'producer heap, MB': answer.heapBytes / MB,
      'producer handles': answer.handles,
      ...(await readServer(redis)),
    });
  }
  status('');
  problems.push(...(await auditLeftovers([{ admin: redis.admin, hashTag: `{${DOCKET}}` }])));
  await producer.stop();
  await worker.stop();
  return {
    scenario: 'soak',
    tables: [
      {
        title: `soak: tasks of all kinds at the full rate of one worker with ${THREADS} threads`,
        rows: samples.map((sample) => ({ ...sample })),
        notes: [
          'heaps after a full collection; all figures once the backlog is empty and the records have expired',
          `judged: the median of the last third, over that of the first third after a warm-up of ${Math.round(WARM_UP * 100)} %`,
        ],
        plot: {
          name: 'soak',
          y: 'MB',
          columns: ['worker heap, MB', 'worker RSS, MB', 'producer heap, MB', 'Redis, MB'],
        },
      },
    ],
    verdicts: FLAT_COLUMNS.flatMap((column) => growthOf(column, samples)),
    problems,
  };
}

/** Judges how much more of something is held at the end than at the beginning. */
function growthOf(column: (typeof FLAT_COLUMNS)[number], samples: readonly Sample[]): Verdict[] {
  const values = samples.slice(Math.floor(samples.length * WARM_UP)).map((sample) => sample[column]);
  if (values.includes(null)) return [];
  const third = Math.max(1, Math.floor(values.length / 3));
  const medianOf = (part: readonly (number | null)[]) => spread(part as readonly number[]).median;
  const growth = medianOf(values.slice(-third)) / medianOf(values.slice(0, third));
  return [atMost(`${column}: the last third / the first`, [growth], FLAT)];
}

/** Waits until nothing is queued, running or scheduled. Throws when nothing happens for a while. */
async function untilEmpty({ admin }: BenchRedis): Promise<void> {
  let [least, sinceMs] = [Number.POSITIVE_INFINITY, performance.now()];
  for (;;) {
    const left = await docketLedger.left(admin);
    if (left === 0) return;
    if (left < least) [least, sinceMs] = [left, performance.now()];
    if (performance.now() - sinceMs > STUCK_MS) throw new Error(`${left} tasks are left, and none of them runs`);
    await sleep(20);
  }
}

async function readServer({ admin }: BenchRedis): Promise<Pick<Sample, 'Redis, MB' | 'Redis keys' | 'Redis clients'>> {
  const info = await admin.info();
  const keys = await admin.keys('*');
  const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1]);
  return {
    'Redis, MB': field('used_memory') / MB,
    'Redis keys': keys.filter((key) => !key.includes(HISTORY)).length,
    'Redis clients': field('connected_clients'),
  };
}

/** Reads a number from the status of a process, in the unit that `scale` makes of it. Linux only. */
function readStatus(pid: number, name: string, scale = 1): number | null {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1]) * scale;
  } catch {
    return null;
  }
}

function countFiles(pid: number): number | null {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return null;
  }
}
