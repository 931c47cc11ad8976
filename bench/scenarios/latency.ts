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
import { LatencyBench, MEAN_GAP_MS, type Stretch, turnsOf, warmUp } from '../support/latency-bench.js';
import { status } from '../support/print.js';
import type { BenchRedis } from '../support/redis-server.js';
import { compare, type Distribution, type Report, type Row, type Target } from '../support/report.js';
import { interleave } from '../support/rounds.js';
import { StartLog } from '../support/start-log.js';
import { quantile, spread } from '../support/stats.js';
import { KEPT_MS } from './enqueue.js';

const CALLERS = 100;
const OPEN_WAITS = 200;
/** The shares that a plot shows. */
const SHARES = [...Array.from({ length: 99 }, (_, i) => (i + 1) / 100), 0.995, 0.999, 1];

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
    contender('docket, result()', () => bench.circle('tracked', count.circle, CALLERS)),
    contender('BullMQ, waitUntilFinished()', () => bench.circle('bullmq', count.circle, CALLERS)),
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

type Runs = ReadonlyMap<string, readonly Stretch[]>;

type Named = Pick<Contender, 'name'>;

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
