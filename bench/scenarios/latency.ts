/**
 * How long does it take from `add` to the start of the body in an idle worker of another process, and from `add` to the
 * result?
 *
 * All contenders are up during the whole run, and take turns call by call, so that whatever else the machine does meets all of
 * them alike. Calls are made at random moments whatever became of the earlier ones (an open loop), so that none always meets
 * the same phase of a timer or of a read. Beside them is the floor: PING, the hop of a bare stream entry from one process to
 * another, and that hop with what a worker with threads cannot do without: a message to a thread and, for a result, one back
 * and one that is published. Times are taken from the monotonic clock that all processes share, at the start just within the
 * body.
 *
 * Each contender also runs at half of the rate at which it drains what a producer adds as fast as it can, and answers 100
 * callers that each wait for their result before they call again.
 */
import type { BullmqWorkerSettings } from '../peers/bullmq-worker.js';
import type { Called, CallRequest } from '../peers/call.js';
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import { RAW_STREAM } from '../peers/names.js';
import { sharedClockUs } from '../peers/start-times.js';
import { type CostPerTask, costPerTask, readCost } from '../support/cost.js';
import { bullmqLedger, docketLedger, rawLedger, rawThreadLedger } from '../support/ledger.js';
import { Peer } from '../support/peer.js';
import { status } from '../support/print.js';
import type { BenchRedis } from '../support/redis-server.js';
import { compare, type Distribution, type Report, type Row, type Target } from '../support/report.js';
import { interleave } from '../support/rounds.js';
import { StartLog } from '../support/start-log.js';
import { quantile, spread } from '../support/stats.js';
import { KEPT_MS } from './enqueue.js';

/** The time between two calls, whoever makes them: at least enough for a call to end, and the rest at random. */
const LEAST_GAP_MS = 4;
const MEAN_GAP_MS = 8;
/** How long after the request the first call is made: all callers have it by then. */
const LEAD_MS = 20;
const CALLERS = 100;
const OPEN_WAITS = 200;
const THREADS = 2;
/** The shares that a plot shows. */
const SHARES = [...Array.from({ length: 99 }, (_, i) => (i + 1) / 100), 0.995, 0.999, 1];

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

export interface LatencyOptions {
  readonly rounds: number;
  /** Calls of each contender in one round. */
  readonly calls: number;
}

/** One kind of stretch of one contender. */
interface Contender {
  readonly name: string;
  run(): Promise<Stretch>;
}

/** A contender that takes turns with others, call by call. */
interface Caller {
  readonly name: string;
  /** Calls at these moments of the shared clock. */
  run(atUs: readonly number[]): Promise<Stretch>;
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

  const count = { flood: calls * 30, circle: calls * 10 };
  const ping = caller('PING', (atUs) => bench.answer('ping', atUs));
  const hop = caller('bare XADD -> XREADGROUP', (atUs) => bench.start('hop', 0, atUs));
  const threadHop = caller('bare hop, and on to a thread', (atUs) => bench.start('thread', 0, atUs));
  const lean = caller('docket, fire-and-forget', (atUs) => bench.start('lean', 0, atUs));
  const tracked = caller('docket, tracked', (atUs) => bench.start('tracked', KEPT_MS, atUs));
  const bullmq = caller('BullMQ', (atUs) => bench.start('bullmq', KEPT_MS, atUs));
  await warmUp(bench, calls);
  const inTurns = (name: string, callers: readonly Caller[]) => takeTurns(name, callers, rounds, calls);
  const idle = await inTurns('add -> start, idle', [ping, hop, threadHop, lean, tracked, bullmq]);

  const threadReply = caller('bare hop to a thread and back', (atUs) => bench.answer('thread', atUs));
  const reply = caller('docket, result()', (atUs) => bench.answer('tracked', atUs));
  const bullmqReply = caller('BullMQ, waitUntilFinished()', (atUs) => bench.answer('bullmq', atUs));
  const alone = await inTurns('add -> result', [threadReply, reply, bullmqReply]);
  await bench.openWaits(OPEN_WAITS);
  const beside = await inTurns('add -> result, waits open', [threadReply, reply, bullmqReply]);
  await bench.closeWaits();
  const [circle, bullmqCircle] = [
    contender('docket, result()', () => bench.circle('tracked', count.circle)),
    contender('BullMQ, waitUntilFinished()', () => bench.circle('bullmq', count.circle)),
  ];
  const circles = await interleave('callers in a circle', [circle, bullmqCircle], rounds, ({ run }) => run());
  const busy = await interleave(
    'add -> start, busy',
    [
      contender(lean.name, () => bench.halfRate('lean', 0, count.flood)),
      contender(tracked.name, () => bench.halfRate('tracked', KEPT_MS, count.flood)),
      contender(bullmq.name, () => bench.halfRate('bullmq', KEPT_MS, count.flood >> 2)),
    ],
    rounds,
    ({ run }) => run(),
  );
  const problems = await bench.close();

  const at = (runs: Runs, { name }: Named, share: number) =>
    runs.get(name)!.map(({ latenciesUs }) => quantile(latenciesUs, share));
  const rateOf = ({ name }: Named) => circles.get(name)!.map(({ perSecond }) => perSecond!);
  const tails = (runs: Runs, { name }: Named) => [quantile(all(runs, name), 0.99)]; // one round has too few calls
  return {
    scenario: 'latency',
    tables: [
      {
        title: `add -> start: one call every ${MEAN_GAP_MS} ms, at random moments, of each in turn; worker idle, in another process`,
        rows: rowsOf(idle),
        notes: [
          'PING: one round trip of the calling process, with no other process to wake',
          'on to a thread: the hop, and a message from the reading process to a thread of it, which the design asks for',
        ],
      },
      { title: 'add -> start: at half of the rate that the contender keeps up with', rows: rowsOf(busy) },
      {
        title: `add -> result: one call every ${MEAN_GAP_MS} ms, at random moments, of each in turn`,
        rows: rowsOf(alone),
      },
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
  async circle(caller: CallerName, count: number): Promise<Stretch> {
    const { pid } = this.#workers.get(CALLERS_OF[caller])!;
    const before = await readCost(this.#redis.admin, pid);
    const { tookUs, ms } = await this.#call(caller, count, KEPT_MS, { kind: 'circle', callers: CALLERS });
    const cost = costPerTask(before, await readCost(this.#redis.admin, pid), count);
    return { latenciesUs: tookUs, perSecond: (count / ms) * 1e3, cost };
  }

  /** Finds out at which rate tasks start that are added as fast as possible, and measures from add to start at half of it. */
  async halfRate(caller: CallerName, keptMs: number, count: number): Promise<Stretch> {
    const flood = await this.#call(caller, count, keptMs, { kind: 'flood', atOnce: OPEN_WAITS, keptMs });
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
type Runs = ReadonlyMap<string, readonly Stretch[]>;

type Named = Pick<Contender, 'name'>;

/** The callers that also wait for results of tasks that are due later. */
const WAITERS = ['tracked', 'bullmq'] as const satisfies readonly CallerName[];

const most = (value: number): Target => ({ kind: 'at most', value });

function contender(name: string, run: Contender['run']): Contender {
  return { name, run };
}

function caller(name: string, run: Caller['run']): Caller {
  return { name, run };
}

/** Lets the callers take turns, call by call, in random order. */
async function takeTurns(
  name: string,
  callers: readonly Caller[],
  rounds: number,
  calls: number,
): Promise<Map<string, Stretch[]>> {
  const results = new Map<string, Stretch[]>(callers.map((one) => [one.name, []]));
  for (let round = 0; round < rounds; round++) {
    status(`${name}, round ${round + 1} of ${rounds}`);
    const turns = turnsOf(callers.length, calls);
    await Promise.all(callers.map(async (one, i) => results.get(one.name)!.push(await one.run(turns[i]!))));
  }
  status('');
  return results;
}

/** Returns the moments of each caller: in every turn, each of them calls once, in random order. */
function turnsOf(callers: number, calls: number): number[][] {
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
async function warmUp(bench: LatencyBench, calls: number): Promise<void> {
  for (const caller of Object.keys(CALLERS_OF) as CallerName[]) {
    if (caller !== 'ping') await bench.start(caller, caller === 'tracked' ? KEPT_MS : 0, momentsAt(1_000, calls * 5));
    if (caller !== 'hop' && caller !== 'lean') await bench.answer(caller, momentsAt(300, calls));
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
