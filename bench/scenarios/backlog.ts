/**
 * Does a long backlog slow docket down? One worker drains a long backlog and one of a tenth, queued and scheduled. In each,
 * the rate is measured in windows while it drains, with the memory of the worker, and every script that takes longer
 * than 5 ms is counted.
 *
 * The windows between a tenth and nine tenths count, so neither the start of the worker nor the end of the backlog does.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { call, Docket } from 'docket';
import type { Redis } from 'ioredis';
import { noop } from '../peers/docket-tasks.js';
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import { DOCKET } from '../peers/names.js';
import { slices } from '../peers/payload.js';
import { docketLedger } from '../support/ledger.js';
import { Peer } from '../support/peer.js';
import { liveStatus } from '../support/print.js';
import type { BenchRedis } from '../support/redis-server.js';
import { compare, type Report } from '../support/report.js';
import { interleave, problemsOf } from '../support/rounds.js';
import { SLOW_US, type SlowScripts, SlowScriptWatch } from '../support/slow-scripts.js';
import { spread } from '../support/stats.js';
import { KEPT_MS } from './enqueue.js';

const THREADS = 2;
const WINDOWS = 20;
const POLL_MS = 10;
const ADDED_AT_ONCE = 5_000;
/** The long backlog is so many times as long as the short one. */
const TIMES = 10;
/** The share of the long backlog that is tracked: it takes about three times as long for each. */
const TRACKED_SHARE = 0.3;
const STUCK_MS = 60_000;

const SCHEDULE = `{${DOCKET}}:schedule`;

interface Contender {
  readonly name: string;
  readonly share: number;
  readonly keptMs: number;
  readonly isScheduled: boolean;
}

/** A point of the curve of the rate over the backlog. */
interface Window {
  /** How many were left in the middle of the window. */
  readonly left: number;
  readonly perSecond: number;
  readonly memoryMiB: number | null;
}

interface BacklogRun {
  readonly windows: readonly Window[];
  readonly perSecond: number;
  readonly slow: SlowScripts;
  readonly problems: readonly string[];
}

const KINDS = [
  { name: 'queued, lean', share: 1, keptMs: 0, isScheduled: false },
  { name: 'queued, tracked', share: TRACKED_SHARE, keptMs: KEPT_MS, isScheduled: false },
  { name: 'scheduled, lean', share: 1, keptMs: 0, isScheduled: true },
] as const satisfies readonly Contender[];

export async function backlog(
  redis: BenchRedis,
  { rounds, tasks }: { readonly rounds: number; readonly tasks: number },
): Promise<Report> {
  const names = await scriptNames();
  const pairs = KINDS.map((kind) => ({
    long: kind,
    short: { ...kind, name: `${kind.name}, a tenth`, share: kind.share / TIMES },
  }));
  const contenders: Contender[] = pairs.flatMap(({ long, short }) => [long, short]);
  const runs = await interleave('backlog', contenders, rounds, (contender) =>
    drain(redis, contender, Math.round(tasks * contender.share), (digest) => names.get(digest) ?? digest),
  );
  const rates = ({ name }: Contender) => runs.get(name)!.map(({ perSecond }) => perSecond);
  return {
    scenario: 'backlog',
    tables: [
      {
        title: `backlog: one worker process with ${THREADS} threads, no-op tasks`,
        rows: contenders.map((contender) =>
          row(contender, Math.round(tasks * contender.share), runs.get(contender.name)!),
        ),
        notes: [
          'scripts over 5 ms by SLOWLOG, which includes the time the server waited for a core; both in all rounds',
          'memory: resident size of the worker in the first and in the last window',
        ],
      },
      ...KINDS.map(({ name }) => ({
        title: `backlog: rate over backlog, ${name} (last round)`,
        rows: runs
          .get(name)!
          .at(-1)!
          .windows.map(({ left, perSecond, memoryMiB }) => ({
            left,
            'tasks/s': perSecond,
            'worker MiB': memoryMiB,
          })),
        plot: { name: `backlog-${name.replace(', ', '-')}`, y: 'tasks/s', columns: ['tasks/s'] },
      })),
    ],
    verdicts: pairs.map(({ long, short }) => compare(`rate: ${long.name} / a tenth`, rates(long), rates(short), 0.95)),
    problems: problemsOf(runs),
  };
}

function row({ name }: Contender, tasks: number, runs: readonly BacklogRun[]) {
  const { median, min, max } = spread(runs.map(({ perSecond }) => perSecond));
  const { windows } = runs.at(-1)!;
  const slow = new Map<string, number>();
  for (const run of runs)
    for (const [script, count] of run.slow.counts) slow.set(script, (slow.get(script) ?? 0) + count);
  const waited = runs.map(({ slow }) => slow.waitedMs);
  return {
    contender: name,
    tasks,
    'tasks/s': median,
    min,
    max,
    'first MiB': windows[0]?.memoryMiB ?? null,
    'last MiB': windows.at(-1)?.memoryMiB ?? null,
    [`scripts over ${SLOW_US / 1e3} ms`]: [...slow].map(([script, count]) => `${script} ${count}`).join(', ') || 'none',
    'server waited ms': waited.includes(null) ? null : waited.reduce<number>((sum, ms) => sum + ms!, 0),
  };
}

async function drain(
  redis: BenchRedis,
  { name, keptMs, isScheduled }: Contender,
  tasks: number,
  nameOf: (digest: string) => string,
): Promise<BacklogRun> {
  await redis.reset();
  const watch = await SlowScriptWatch.start(redis.admin);
  await fill(redis, tasks, { keptMs, isScheduled });
  if (isScheduled) await makeDue(redis.admin);
  const settings: DocketWorkerSettings = { url: redis.url, options: { threads: THREADS } };
  const worker = await Peer.start('docket-worker', settings);
  await worker.request();
  const windows = await measureWindows(redis, { name, pid: worker.pid, tasks });
  const slow = await watch.stop(nameOf);
  await worker.stop();
  const steady = windows.filter(({ left }) => left > tasks * 0.1 && left < tasks * 0.9);
  return {
    windows,
    perSecond: spread(steady.map(({ perSecond }) => perSecond)).median,
    slow,
    problems: await docketLedger.audit(redis.admin, tasks, keptMs > 0 ? tasks : 0),
  };
}

async function fill(
  redis: BenchRedis,
  tasks: number,
  { keptMs, isScheduled }: Pick<Contender, 'keptMs' | 'isScheduled'>,
): Promise<void> {
  const docket = new Docket({ name: DOCKET, url: redis.url, executionTtl: keptMs });
  const options = isScheduled ? { when: new Date(Date.now() + 24 * 3_600_000) } : {};
  for (const slice of slices(0, tasks, ADDED_AT_ONCE)) {
    await docket.addMany(slice.map((args) => call(noop, args, options)));
  }
  await docket.close();
}

/** Makes the whole schedule due: everybody's hour comes at once, as after an outage. */
async function makeDue(admin: Redis): Promise<void> {
  for (let from = 0; ; from += ADDED_AT_ONCE) {
    const members = await admin.zrange(SCHEDULE, String(from), String(from + ADDED_AT_ONCE - 1));
    if (members.length === 0) return;
    await admin.zadd(SCHEDULE, ...members.flatMap((member) => ['1', member]));
  }
}

/** Divides the drain into windows of equally many tasks, and measures each. */
async function measureWindows(
  redis: BenchRedis,
  { name, pid, tasks }: { readonly name: string; readonly pid: number; readonly tasks: number },
): Promise<Window[]> {
  const windows: Window[] = [];
  const left = async () => (await docketLedger.left(redis.admin)) + (await redis.admin.zcard(SCHEDULE));
  let from = { at: performance.now(), left: tasks };
  for (let now = from; now.left > 0; ) {
    await sleep(POLL_MS);
    now = { at: performance.now(), left: await left() };
    liveStatus(`${name}: ${now.left.toLocaleString('en-US')} left`);
    if (now.at - from.at > STUCK_MS) throw new Error(`${name}: ${now.left} tasks left, too few completed`);
    if (from.left - now.left < tasks / WINDOWS) continue;
    const perSecond = ((from.left - now.left) / (now.at - from.at)) * 1e3;
    windows.push({ left: Math.round((from.left + now.left) / 2), perSecond, memoryMiB: residentMiB(pid) });
    from = now;
  }
  return windows;
}

function residentMiB(pid: number): number | null {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1_024;
  } catch {
    return null;
  }
}

/** Names docket's scripts by their digests. They are not part of the public API, so the built file is loaded. */
async function scriptNames(): Promise<Map<string, string>> {
  const file = new URL('../../src/redis/scripts.generated.js', import.meta.url).href;
  const { SCRIPTS } = (await import(file)) as { SCRIPTS: Readonly<Record<string, { readonly sha: string }>> };
  return new Map(Object.entries(SCRIPTS).map(([name, { sha }]) => [sha, name]));
}
