/**
 * The processes of the latency bench, and the moments at which they call. All are up at the same time, and what they are given
 * is counted for the audit.
 */
import type { BullmqWorkerSettings } from '../peers/bullmq-worker.js';
import type { Called, CallRequest } from '../peers/call.js';
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import { RAW_STREAM } from '../peers/names.js';
import { sharedClockUs } from '../peers/start-times.js';
import { KEPT_MS } from '../scenarios/enqueue.js';
import { type CostPerTask, costPerTask, readCost } from './cost.js';
import { bullmqLedger, docketLedger, rawLedger, rawThreadLedger } from './ledger.js';
import { Peer } from './peer.js';
import type { BenchRedis } from './redis-server.js';
import type { StartLog } from './start-log.js';

/** The time between two calls, whoever makes them: at least enough for a call to end, and the rest at random. */
const LEAST_GAP_MS = 4;
export const MEAN_GAP_MS = 8;
/** How long after the request the first call is made: all callers have it by then. */
const LEAD_MS = 20;
const OPEN_AT_ONCE = 200;
const THREADS = 2;

type System = 'docket' | 'bullmq' | 'raw' | 'raw-thread';
/** Each contender has a process of its own that calls, because a process measures one stretch at a time. */
const CALLERS_OF = {
  ping: 'raw',
  hop: 'raw',
  thread: 'raw-thread',
  lean: 'docket',
  tracked: 'docket',
  bullmq: 'bullmq',
} as const satisfies Record<string, System>;

type CallerName = keyof typeof CALLERS_OF;

export interface Stretch {
  readonly latenciesUs: readonly number[];
  /** Calls per second, where the contender decides that. */
  readonly perSecond?: number;
  readonly cost?: CostPerTask;
}

/** The callers that also wait for results of tasks that are due later. */
const WAITERS = ['tracked', 'bullmq'] as const satisfies readonly CallerName[];

/** The contenders' processes, all up at the same time. Counts what they are given, for the audit. */
export class LatencyBench {
  readonly #redis: BenchRedis;
  readonly #starts: StartLog;
  readonly #workers = new Map<System, Peer>();
  readonly #callers = new Map<CallerName, Peer>();
  #calls = 0;
  #waits = 0;
  readonly #added: Record<System, number> = { docket: 0, bullmq: 0, raw: 0, 'raw-thread': 0 };
  #recorded = 0;

  constructor(redis: BenchRedis, starts: StartLog) {
    this.#redis = redis;
    this.#starts = starts;
  }

  async open(): Promise<void> {
    const { path, url } = this.#redis;
    for (const [name, system] of Object.entries(CALLERS_OF)) {
      this.#callers.set(name as CallerName, await Peer.start(`${system}-caller`, { path, url }));
    }
    const docket: DocketWorkerSettings = { url, options: { threads: THREADS } };
    const bullmq: BullmqWorkerSettings = { path, concurrency: 100, sandboxed: false, keep: { age: KEPT_MS / 1e3 } };
    this.#workers.set('docket', await Peer.start('docket-worker', docket));
    this.#workers.set('bullmq', await Peer.start('bullmq-worker', bullmq));
    this.#workers.set('raw', await Peer.start('raw-receiver', { path }));
    this.#workers.set('raw-thread', await Peer.start('raw-thread-receiver', { path }));
    for (const worker of this.#workers.values()) await worker.request();
  }

  /** Measures from add to start. */
  async start(caller: CallerName, keptMs: number, atUs: readonly number[]): Promise<Stretch> {
    const { from, calledUs } = await this.#call(caller, atUs.length, keptMs, { kind: 'add', atUs, keptMs });
    const startedUs = await this.#starts.startsOf(from, atUs.length);
    return { latenciesUs: startedUs.map((us, i) => us - calledUs[i]!) };
  }

  /** Measures from add to result, or how long the server takes to answer. */
  async answer(caller: CallerName, atUs: readonly number[]): Promise<Stretch> {
    return { latenciesUs: (await this.#call(caller, atUs.length, KEPT_MS, { kind: 'call', atUs })).tookUs };
  }

  /** Measures how many calls a second so many callers complete, and the cost of a call. */
  async circle(caller: CallerName, count: number, callers: number): Promise<Stretch> {
    const { pid } = this.#workers.get(CALLERS_OF[caller])!;
    const before = await readCost(this.#redis.admin, pid);
    const { tookUs, ms } = await this.#call(caller, count, KEPT_MS, { kind: 'circle', callers });
    const cost = costPerTask(before, await readCost(this.#redis.admin, pid), count);
    return { latenciesUs: tookUs, perSecond: (count / ms) * 1e3, cost };
  }

  /** Finds out at which rate tasks start that are added as fast as possible, and measures from add to start at half of it. */
  async halfRate(caller: CallerName, keptMs: number, count: number): Promise<Stretch> {
    const flood = await this.#call(caller, count, keptMs, { kind: 'flood', atOnce: OPEN_AT_ONCE, keptMs });
    const startedUs = await this.#starts.startsOf(flood.from, count);
    const perSecond = (count / (Math.max(...startedUs) - flood.calledUs[0]!)) * 1e6 * 0.5;
    return { ...(await this.start(caller, keptMs, momentsAt(perSecond, count >> 1))), perSecond };
  }

  async openWaits(count: number): Promise<void> {
    for (const caller of WAITERS) {
      this.#added[CALLERS_OF[caller]] += count;
      await this.#callers.get(caller)!.request({ kind: 'open-waits', from: 0, count } satisfies CallRequest);
    }
    this.#waits += count;
  }

  async closeWaits(): Promise<void> {
    for (const caller of WAITERS) {
      await this.#callers.get(caller)!.request({ kind: 'close-waits' } satisfies CallRequest);
    }
  }

  /** Stops everything, and lists what the audits found. */
  async close(): Promise<string[]> {
    const peers = [...this.#callers.values(), ...this.#workers.values()];
    await Promise.all(peers.map((peer) => peer.stop()));
    const { admin } = this.#redis;
    const { docket, bullmq, raw, 'raw-thread': rawThread } = this.#added;
    return [
      ...this.#starts.audit(this.#calls),
      ...(await docketLedger.audit(admin, docket - this.#waits, this.#recorded)),
      ...(await bullmqLedger.audit(admin, bullmq, bullmq - this.#waits)),
      ...(await rawThreadLedger.audit(admin, rawThread, 0)),
      ...(raw > 0 ? await rawLedger.audit(admin, raw, 0) : [`nothing came to ${RAW_STREAM}`]),
    ];
  }

  async #call(
    caller: CallerName,
    count: number,
    keptMs: number,
    request: DistributiveOmit<CallRequest, 'from' | 'count'>,
  ): Promise<Called & { readonly from: number }> {
    const system = CALLERS_OF[caller];
    const from = this.#calls;
    if (caller !== 'ping') {
      this.#calls += count;
      this.#added[system] += count;
      if (system === 'docket' && keptMs > 0) this.#recorded += count;
    }
    return { ...(await this.#callers.get(caller)!.request<Called>({ ...request, from, count })), from };
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** Returns the moments of each caller: in every turn, each of them calls once, in random order. */
export function turnsOf(callers: number, calls: number): number[][] {
  const moments = Array.from({ length: callers }, (): number[] => []);
  let atUs = sharedClockUs() + LEAD_MS * 1e3;
  for (let call = 0; call < calls; call++) {
    const order = moments.map((_, i) => [Math.random(), i] as const).sort(([a], [b]) => a - b);
    for (const [, i] of order) {
      atUs += (LEAST_GAP_MS + exponential(MEAN_GAP_MS - LEAST_GAP_MS)) * 1e3;
      moments[i]!.push(atUs);
    }
  }
  return moments;
}

/** Returns moments that are independent of each other (a Poisson process). */
function momentsAt(perSecond: number, count: number): number[] {
  let atUs = sharedClockUs() + LEAD_MS * 1e3;
  return Array.from({ length: count }, () => {
    atUs += exponential(1e6 / perSecond);
    return atUs;
  });
}

function exponential(mean: number): number {
  return -Math.log(1 - Math.random()) * mean;
}

/** Connects everything and has it compiled before the first measured call. */
export async function warmUp(bench: LatencyBench, calls: number): Promise<void> {
  for (const caller of Object.keys(CALLERS_OF) as CallerName[]) {
    if (caller !== 'ping') await bench.start(caller, caller === 'tracked' ? KEPT_MS : 0, momentsAt(1_000, calls * 5));
    if (caller !== 'hop' && caller !== 'lean') await bench.answer(caller, momentsAt(300, calls));
  }
}
