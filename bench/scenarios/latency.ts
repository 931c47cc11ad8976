/**
 * How long does it take from `add` to the start of the body in an idle worker of another process, and from `add` to the
 * result?
 *
 * All contenders are up during the whole run, and take turns in short stretches. Calls are made at random moments whatever
 * became of the earlier ones (an open loop), so that none always meets the same phase of a timer or of a read. Beside them
 * is the floor: PING, and the hop of a bare stream entry from one process to another. Times are taken from the monotonic
 * clock that all processes share, at the start just within the body.
 *
 * Each contender also runs at half of the rate at which it drains what a producer adds as fast as it can, and answers 100
 * callers that each wait for their result before they call again.
 */
import type { BullmqWorkerSettings } from '../peers/bullmq-worker.js';
import type { Called, CallRequest } from '../peers/call.js';
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import { RAW_STREAM } from '../peers/names.js';
import { type CostPerTask, costPerTask, readCost } from '../support/cost.js';
import { bullmqLedger, docketLedger, rawLedger } from '../support/ledger.js';
import { Peer } from '../support/peer.js';
import type { BenchRedis } from '../support/redis-server.js';
import { compare, type Distribution, type Report, type Row, type Target } from '../support/report.js';
import { interleave } from '../support/rounds.js';
import { StartLog } from '../support/start-log.js';
import { quantile, spread } from '../support/stats.js';
import { KEPT_MS } from './enqueue.js';

const IDLE_CALLS_PER_SECOND = 75;
const CALLERS = 100;
const OPEN_WAITS = 200;
const THREADS = 2;
/** The shares that a plot shows. */
const SHARES = [...Array.from({ length: 99 }, (_, i) => (i + 1) / 100), 0.995, 0.999, 1];

type System = 'docket' | 'bullmq' | 'raw';

export interface LatencyOptions {
  readonly rounds: number;
  /** Calls of each contender in one stretch. */
  readonly calls: number;
}

/** One kind of stretch of one contender. */
interface Contender {
  readonly name: string;
  run(): Promise<Stretch>;
}

interface Stretch {
  readonly latenciesUs: readonly number[];
  /** Calls per second, where the contender decides that. */
  readonly perSecond?: number;
  readonly cost?: CostPerTask;
}

export async function latency(redis: BenchRedis, { rounds, calls }: LatencyOptions): Promise<Report> {
  await redis.reset();
  using starts = new StartLog();
  const bench = new LatencyBench(redis, starts);
  await bench.open();

  const count = { calls, flood: calls * 50, circle: calls * 20 };
  const hop = contender('bare XADD -> XREADGROUP', () => bench.start('raw', 0, calls, IDLE_CALLS_PER_SECOND));
  const ping = contender('PING', () => bench.answer('raw', calls));
  const lean = contender('docket, fire-and-forget', () => bench.start('docket', 0, calls, IDLE_CALLS_PER_SECOND));
  const tracked = contender('docket, tracked', () => bench.start('docket', KEPT_MS, calls, IDLE_CALLS_PER_SECOND));
  const bullmq = contender('BullMQ', () => bench.start('bullmq', KEPT_MS, calls, IDLE_CALLS_PER_SECOND));
  await warmUp(bench, calls);
  const idle = await interleave('add -> start, idle', [ping, hop, lean, tracked, bullmq], rounds, ({ run }) => run());

  const [reply, bullmqReply] = [
    contender('docket, result()', () => bench.answer('docket', calls)),
    contender('BullMQ, waitUntilFinished()', () => bench.answer('bullmq', calls)),
  ];
  const alone = await interleave('add -> result', [reply, bullmqReply], rounds, ({ run }) => run());
  await bench.openWaits(OPEN_WAITS);
  const beside = await interleave('add -> result, waits open', [reply, bullmqReply], rounds, ({ run }) => run());
  await bench.closeWaits();
  const [circle, bullmqCircle] = [
    contender('docket, result()', () => bench.circle('docket', count.circle)),
    contender('BullMQ, waitUntilFinished()', () => bench.circle('bullmq', count.circle)),
  ];
  const circles = await interleave('callers in a circle', [circle, bullmqCircle], rounds, ({ run }) => run());
  const busy = await interleave(
    'add -> start, busy',
    [
      contender(lean.name, () => bench.halfRate('docket', 0, count.flood)),
      contender(tracked.name, () => bench.halfRate('docket', KEPT_MS, count.flood)),
      contender(bullmq.name, () => bench.halfRate('bullmq', KEPT_MS, count.flood >> 2)),
    ],
    rounds,
    ({ run }) => run(),
  );
  const problems = await bench.close();

  const at = (runs: Runs, { name }: Contender, share: number) =>
    runs.get(name)!.map(({ latenciesUs }) => quantile(latenciesUs, share));
  const rateOf = ({ name }: Contender) => circles.get(name)!.map(({ perSecond }) => perSecond!);
  const tails = (runs: Runs, { name }: Contender) => [quantile(all(runs, name), 0.99)]; // one stretch has too few calls
  return {
    scenario: 'latency',
    tables: [
      {
        title: `add -> start: ${IDLE_CALLS_PER_SECOND} adds/s at random moments, worker idle, in another process`,
        rows: rowsOf(idle),
        notes: ['PING: one round trip of the calling process, with no other process to wake'],
      },
      { title: 'add -> start: at half of the rate that the contender keeps up with', rows: rowsOf(busy) },
      { title: `add -> result: ${IDLE_CALLS_PER_SECOND} calls/s at random moments`, rows: rowsOf(alone) },
      { title: `add -> result: the same, beside ${OPEN_WAITS} other waits for results`, rows: rowsOf(beside) },
      { title: `request and reply: ${CALLERS} callers, each with one call at a time`, rows: rowsOf(circles) },
    ],
    verdicts: [
      compare(
        'add -> start, p50: docket, fire-and-forget / bare hop',
        at(idle, lean, 0.5),
        at(idle, hop, 0.5),
        most(2),
      ),
      compare('add -> start, p50: docket, tracked / bare hop', at(idle, tracked, 0.5), at(idle, hop, 0.5), most(2.5)),
      compare('add -> start, p99: BullMQ / docket, fire-and-forget', tails(idle, bullmq), tails(idle, lean), 1.5),
      compare('add -> start, p99: BullMQ / docket, tracked', tails(idle, bullmq), tails(idle, tracked), 1.5),
      ...[0.5, 0.9].flatMap((share) => [
        compare(
          `add -> result, p${share * 100}: docket / BullMQ`,
          at(alone, reply, share),
          at(alone, bullmqReply, share),
          most(0.7),
        ),
        compare(
          `add -> result beside ${OPEN_WAITS} waits, p${share * 100}: docket / BullMQ`,
          at(beside, reply, share),
          at(beside, bullmqReply, share),
          most(0.7),
        ),
      ]),
      compare(`${CALLERS} callers, calls/s: docket / BullMQ`, rateOf(circle), rateOf(bullmqCircle), 2),
    ],
    distributions: [
      distribution('add -> start, idle worker', idle),
      distribution('add -> result', alone),
      distribution(`add -> result, beside ${OPEN_WAITS} other waits`, beside),
    ],
    problems,
  };
}

/** The contenders' processes, all up at the same time. Counts what they are given, for the audit. */
class LatencyBench {
  readonly #redis: BenchRedis;
  readonly #starts: StartLog;
  readonly #workers = new Map<System, Peer>();
  readonly #callers = new Map<System, Peer>();
  #calls = 0;
  #waits = 0;
  readonly #added: Record<System, number> = { docket: 0, bullmq: 0, raw: 0 };
  #recorded = 0;

  constructor(redis: BenchRedis, starts: StartLog) {
    this.#redis = redis;
    this.#starts = starts;
  }

  async open(): Promise<void> {
    const { path, url } = this.#redis;
    for (const system of ['docket', 'bullmq', 'raw'] as const) {
      this.#callers.set(system, await Peer.start(`${system}-caller`, { path, url }));
    }
    const docket: DocketWorkerSettings = { url, options: { threads: THREADS } };
    const bullmq: BullmqWorkerSettings = { path, concurrency: 100, sandboxed: false, keep: { age: KEPT_MS / 1e3 } };
    this.#workers.set('docket', await Peer.start('docket-worker', docket));
    this.#workers.set('bullmq', await Peer.start('bullmq-worker', bullmq));
    this.#workers.set('raw', await Peer.start('raw-receiver', { path }));
    for (const worker of this.#workers.values()) await worker.request();
  }

  /** Measures from add to start. */
  async start(system: System, keptMs: number, count: number, perSecond: number): Promise<Stretch> {
    const { from, calledUs } = await this.#call(system, count, keptMs, { kind: 'add', perSecond, keptMs });
    const startedUs = await this.#starts.startsOf(from, count);
    return { latenciesUs: startedUs.map((us, i) => us - calledUs[i]!) };
  }

  /** Measures from add to result, or how long the server takes to answer. */
  async answer(system: System, count: number): Promise<Stretch> {
    const request = { kind: 'call', perSecond: IDLE_CALLS_PER_SECOND } as const;
    return { latenciesUs: (await this.#call(system, count, KEPT_MS, request)).tookUs };
  }

  /** Measures how many calls a second so many callers complete, and the cost of a call. */
  async circle(system: System, count: number): Promise<Stretch> {
    const { pid } = this.#workers.get(system)!;
    const before = await readCost(this.#redis.admin, pid);
    const { tookUs, ms } = await this.#call(system, count, KEPT_MS, { kind: 'circle', callers: CALLERS });
    const cost = costPerTask(before, await readCost(this.#redis.admin, pid), count);
    return { latenciesUs: tookUs, perSecond: (count / ms) * 1e3, cost };
  }

  /** Finds out at which rate tasks start that are added as fast as possible, and measures from add to start at half of it. */
  async halfRate(system: System, keptMs: number, count: number): Promise<Stretch> {
    const flood = await this.#call(system, count, keptMs, { kind: 'flood', atOnce: OPEN_WAITS, keptMs });
    const startedUs = await this.#starts.startsOf(flood.from, count);
    const perSecond = (count / (Math.max(...startedUs) - flood.calledUs[0]!)) * 1e6 * 0.5;
    return { ...(await this.start(system, keptMs, count >> 1, perSecond)), perSecond };
  }

  async openWaits(count: number): Promise<void> {
    for (const system of ['docket', 'bullmq'] as const) {
      this.#added[system] += count;
      await this.#callers.get(system)!.request({ kind: 'open-waits', from: 0, count } satisfies CallRequest);
    }
    this.#waits += count;
  }

  async closeWaits(): Promise<void> {
    for (const system of ['docket', 'bullmq'] as const) {
      await this.#callers.get(system)!.request({ kind: 'close-waits' } satisfies CallRequest);
    }
  }

  /** Stops everything, and lists what the audits found. */
  async close(): Promise<string[]> {
    const peers = [...this.#callers.values(), ...this.#workers.values()];
    await Promise.all(peers.map((peer) => peer.stop()));
    const { admin } = this.#redis;
    const { docket, bullmq, raw } = this.#added;
    return [
      ...this.#starts.audit(this.#calls),
      ...(await docketLedger.audit(admin, docket - this.#waits, this.#recorded)),
      ...(await bullmqLedger.audit(admin, bullmq, bullmq - this.#waits)),
      ...(raw > 0 ? await rawLedger.audit(admin, raw, 0) : [`nothing came to ${RAW_STREAM}`]),
    ];
  }

  async #call(
    system: System,
    count: number,
    keptMs: number,
    request: DistributiveOmit<CallRequest, 'from' | 'count'>,
  ): Promise<Called & { readonly from: number }> {
    const isPing = system === 'raw' && request.kind === 'call'; // nothing is added
    const from = this.#calls;
    if (!isPing) {
      this.#calls += count;
      this.#added[system] += count;
      if (system === 'docket' && keptMs > 0) this.#recorded += count;
    }
    return { ...(await this.#callers.get(system)!.request<Called>({ ...request, from, count })), from };
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
type Runs = ReadonlyMap<string, readonly Stretch[]>;

const most = (value: number): Target => ({ kind: 'at most', value });

function contender(name: string, run: () => Promise<Stretch>): Contender {
  return { name, run };
}

/** Connects everything and has it compiled before the first measured call. */
async function warmUp(bench: LatencyBench, calls: number): Promise<void> {
  for (const system of ['raw', 'docket', 'bullmq'] as const) {
    await bench.start(system, 0, calls * 5, 1_000);
    await bench.start(system, KEPT_MS, calls * 5, 1_000);
    await bench.answer(system, calls);
  }
}

function all(runs: Runs, name: string): number[] {
  return runs.get(name)!.flatMap(({ latenciesUs }) => latenciesUs);
}

function rowsOf(runs: Runs): Row[] {
  return [...runs].map(([name, stretches]) => {
    const values = all(runs, name);
    const medians = spread(stretches.map(({ latenciesUs }) => quantile(latenciesUs, 0.5)));
    const rates = stretches.flatMap(({ perSecond }) => perSecond ?? []);
    const costs = stretches.flatMap(({ cost }) => cost ?? []);
    return {
      contender: name,
      calls: values.length,
      'p50 us': quantile(values, 0.5),
      'min of rounds': medians.min,
      'max of rounds': medians.max,
      'p90 us': quantile(values, 0.9),
      'p99 us': quantile(values, 0.99),
      ...(rates.length > 0 && { 'calls/s': spread(rates).median }),
      ...(costs.length > 0 && {
        'commands/call': spread(costs.map(({ commands }) => commands)).median,
        'round trips/call': spread(costs.map(({ trips }) => trips)).median,
        'Redis us/call': spread(costs.map(({ redisCpuUs }) => redisCpuUs)).median,
      }),
    };
  });
}

function distribution(title: string, runs: Runs): Distribution {
  const series = [...runs.keys()].map((name) => {
    const values = all(runs, name);
    return { name, points: SHARES.map((share) => [share, quantile(values, share)] as const) };
  });
  return { title, unit: 'us', series };
}
