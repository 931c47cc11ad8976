/**
 * How many bytes does a task take in Redis while it waits? The used memory of the server is read before and after the tasks
 * are added, so that everything counts: keys, tables, nodes and the allocator's classes of sizes. Nothing is timed, so one
 * process adds them all.
 */
import { Queue } from 'bullmq';
import { call, Docket, task } from 'docket';
import { BULLMQ_QUEUE, DOCKET } from '../peers/names.js';
import { payload } from '../peers/payload.js';
import { bullmqLedger, docketLedger, type Ledger } from '../support/ledger.js';
import { status } from '../support/print.js';
import type { BenchRedis } from '../support/redis-server.js';
import { atMost, compare, type Report, type Row } from '../support/report.js';
import { KEPT_MS } from './enqueue.js';

/** How a task waits. */
interface Manner {
  readonly isKeyed?: boolean;
  readonly isLater?: boolean;
}

interface Contender {
  readonly name: string;
  readonly manner: Manner;
  readonly system: 'docket' | 'bullmq';
  readonly executionTtl?: number;
}

const noop = task('noop', (_args: object) => {});

type Arguments = keyof typeof ARGUMENTS;

const BATCH = 500;
const HOUR_MS = 3_600_000;
/** The most that a fire-and-forget task without arguments may take. */
const LEAN_BYTES = 59;

/** The columns, by the arguments of the tasks. */
const ARGUMENTS = {
  'bytes, no arguments': (_index: number): object => ({}),
  'bytes, small arguments': (index: number): object => payload(index),
  'bytes, arguments of 200': (index: number): object => ({ index, text: 'x'.repeat(200) }),
};
const [NONE, SMALL, LARGE] = Object.keys(ARGUMENTS) as [Arguments, Arguments, Arguments];

const LEAN: Contender = { name: 'docket, fire-and-forget', system: 'docket', executionTtl: 0, manner: {} };
const TRACKED: Contender = { name: 'docket, tracked', system: 'docket', executionTtl: KEPT_MS, manner: {} };
const KEYED: Contender = { ...TRACKED, name: 'docket, tracked under a key', manner: { isKeyed: true } };
const LEAN_LATER: Contender = { ...LEAN, name: 'docket, fire-and-forget, scheduled', manner: { isLater: true } };
const LATER: Contender = { ...TRACKED, name: 'docket, tracked, scheduled', manner: { isLater: true } };
const WAITING: Contender = { name: 'BullMQ, waiting', system: 'bullmq', manner: {} };
const WAITING_KEYED: Contender = { ...WAITING, name: 'BullMQ, waiting under an id', manner: { isKeyed: true } };
const DELAYED: Contender = { ...WAITING, name: 'BullMQ, delayed', manner: { isLater: true } };
const CONTENDERS = [LEAN, TRACKED, KEYED, LEAN_LATER, LATER, WAITING, WAITING_KEYED, DELAYED];

export async function memory(redis: BenchRedis, { tasks }: { tasks: number }): Promise<Report> {
  const problems: string[] = [];
  const bytes = new Map<Contender, Record<Arguments, number>>();
  for (const contender of CONTENDERS) {
    const each: Partial<Record<Arguments, number>> = {};
    for (const args of Object.keys(ARGUMENTS) as Arguments[]) {
      status(`memory: ${contender.name}, ${args}`);
      const added = await fill(redis, contender, ARGUMENTS[args], tasks);
      each[args] = added.bytes;
      if (added.left !== tasks) problems.push(`${contender.name}: ${added.left} tasks wait instead of ${tasks}`);
    }
    bytes.set(contender, each as Record<Arguments, number>);
  }
  status('');
  const of = (contender: Contender, args: Arguments) => [bytes.get(contender)![args]];
  const lighter = (ours: Contender, theirs: Contender, args: Arguments) =>
    compare(`${args}: ${ours.name} / ${theirs.name}`, of(ours, args), of(theirs, args), { kind: 'at most', value: 1 });
  return {
    scenario: 'memory',
    tables: [
      {
        title: 'memory: bytes in Redis for each task that waits, by its arguments',
        rows: CONTENDERS.map(({ name }, i): Row => ({ contender: name, tasks, ...bytes.get(CONTENDERS[i]!)! })),
        notes: [
          "the allocator's classes of sizes count: a byte more can cost 16, and other servers have other classes",
        ],
        costs: {
          columns: Object.keys(ARGUMENTS),
          rows: CONTENDERS.filter(({ system }) => system === 'docket').map(({ name }) => name),
        },
      },
    ],
    verdicts: [
      lighter(TRACKED, WAITING, NONE),
      lighter(TRACKED, WAITING, SMALL),
      lighter(TRACKED, WAITING, LARGE),
      lighter(KEYED, WAITING_KEYED, SMALL),
      lighter(LATER, DELAYED, SMALL),
      atMost(`${NONE}: ${LEAN.name}`, of(LEAN, NONE), LEAN_BYTES),
    ],
    problems,
  };
}

/** Adds tasks to an empty server. Returns what each of them takes, and the number that wait. */
async function fill(
  redis: BenchRedis,
  contender: Contender,
  args: (index: number) => object,
  tasks: number,
): Promise<{ bytes: number; left: number }> {
  await redis.reset();
  const open = () =>
    contender.system === 'docket' ? docketProducer(redis, contender) : bullmqProducer(redis, contender);
  const first = open();
  await first.add([[0, args(0)]]); // what there is once for all tasks
  await first.close(); // the buffers of connections would count
  const before = await usedMemory(redis);
  const producer = open();
  for (let from = 1; from < tasks; from += BATCH) {
    const length = Math.min(BATCH, tasks - from);
    await producer.add(Array.from({ length }, (_, i) => [from + i, args(from + i)] as const));
  }
  const left = (await producer.ledger.left(redis.admin)) + (await redis.admin.zcard(producer.schedule));
  await producer.close();
  const bytes = ((await usedMemory(redis)) - before) / (tasks - 1);
  return { bytes, left };
}

interface MemoryProducer {
  readonly ledger: Ledger;
  /** Name of the sorted set of the tasks that are not due yet. */
  readonly schedule: string;
  add(tasks: readonly (readonly [index: number, args: object])[]): Promise<unknown>;
  close(): Promise<void>;
}

function docketProducer({ url }: BenchRedis, { executionTtl = 0, manner }: Contender): MemoryProducer {
  const docket = new Docket({ name: DOCKET, url, executionTtl });
  return {
    ledger: docketLedger,
    schedule: `{${DOCKET}}:schedule`,
    add: (tasks) =>
      docket.addMany(
        tasks.map(([index, args]) => {
          const key = manner.isKeyed ? { key: keyOf(index) } : {};
          return call(noop, args, { ...key, ...(manner.isLater ? { when: HOUR_MS } : {}) });
        }),
      ),
    close: () => docket.close(),
  };
}

function bullmqProducer({ path }: BenchRedis, { manner }: Contender): MemoryProducer {
  const queue = new Queue(BULLMQ_QUEUE, { connection: { path } });
  return {
    ledger: bullmqLedger,
    schedule: `bull:${BULLMQ_QUEUE}:delayed`,
    add: (tasks) =>
      queue.addBulk(
        tasks.map(([index, data]) => {
          const jobId = manner.isKeyed ? { jobId: keyOf(index) } : {};
          return { name: 'noop', data, opts: { ...jobId, ...(manner.isLater ? { delay: HOUR_MS } : {}) } };
        }),
      ),
    close: () => queue.close(),
  };
}

function keyOf(index: number): string {
  return `customer-${index}`;
}

async function usedMemory({ admin }: BenchRedis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await admin.info('memory'))?.[1]);
}
