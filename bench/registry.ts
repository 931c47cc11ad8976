/** All scenarios, in the order in which the suite runs them. The command line, the gate and the README are made from this list. */
import { backlog } from './scenarios/backlog.js';
import { cpu } from './scenarios/cpu.js';
import { drain } from './scenarios/drain.js';
import { enqueue } from './scenarios/enqueue.js';
import { idle } from './scenarios/idle.js';
import { io } from './scenarios/io.js';
import { latency } from './scenarios/latency.js';
import { lateness } from './scenarios/lateness.js';
import { limits } from './scenarios/limits.js';
import { masters } from './scenarios/masters.js';
import { memory } from './scenarios/memory.js';
import { memoryServer } from './scenarios/memory-server.js';
import { metrics } from './scenarios/metrics.js';
import { micro } from './scenarios/micro.js';
import { partitions } from './scenarios/partitions.js';
import { priorities } from './scenarios/priorities.js';
import { publicBullmq } from './scenarios/public-bullmq.js';
import { roundTrips } from './scenarios/round-trips.js';
import { shortBehindLong } from './scenarios/short-behind-long.js';
import { soak } from './scenarios/soak.js';
import { stall } from './scenarios/stall.js';
import { threads } from './scenarios/threads.js';
import { rounds, type Scenario, type Size, scenario } from './support/scenario.js';

const tasks = (full: number, quick: number): Size => ({ full, quick, meaning: 'tasks of the fastest contender' });

export const SCENARIOS: readonly Scenario[] = [
  scenario({
    name: 'drain',
    question: 'How fast does one worker process empty a backlog of no-op tasks?',
    run: drain,
    sizes: {
      rounds: rounds(3),
      tasks: tasks(120_000, 20_000),
      audited: { full: 5_000, quick: 1_000, meaning: 'tasks that are counted one by one' },
    },
    isGate: true,
  }),
  scenario({
    name: 'enqueue',
    question: 'How fast are tasks added?',
    run: enqueue,
    sizes: { rounds: rounds(3), tasks: tasks(50_000, 20_000) },
  }),
  scenario({
    name: 'threads',
    question: 'How does throughput grow with the threads of a worker?',
    run: threads,
    sizes: {
      rounds: rounds(3),
      tasks: tasks(40_000, 20_000),
      burns: { full: 1_000, quick: 500, meaning: 'tasks of a millisecond in a run' },
    },
  }),
  scenario({
    name: 'round-trips',
    question: 'How many round trips and commands does a task cost, while there is plenty of work?',
    run: roundTrips,
    sizes: { rounds: rounds(3), tasks: tasks(50_000, 40_000) },
    isGate: true,
  }),
  scenario({
    name: 'io',
    question: 'How many tasks that wait does a worker run, and what does each cost it?',
    run: io,
    sizes: { rounds: rounds(2), tasks: { full: 40_000, quick: 5_000, meaning: 'tasks of 10 ms in a run' } },
  }),
  scenario({
    name: 'latency',
    question: 'How long does a task take to start, and its result to arrive?',
    run: latency,
    sizes: { rounds: rounds(5), calls: { full: 200, quick: 60, meaning: 'calls of each kind in a round' } },
  }),
  scenario({
    name: 'lateness',
    question: 'How late do scheduled tasks start?',
    run: lateness,
    sizes: { rounds: rounds(3), seconds: { full: 6, quick: 4, meaning: 'seconds for which tasks become due' } },
  }),
  scenario({
    name: 'idle',
    question: 'What does a worker cost that has nothing to do?',
    run: idle,
    sizes: {
      settleMs: { full: 60_000, quick: 3_000, meaning: 'how long the workers settle first, in milliseconds' },
      measureMs: { full: 30_000, quick: 10_000, meaning: 'how long they are measured, in milliseconds' },
    },
  }),
  scenario({
    name: 'cpu',
    question: 'How much of the cores is left for CPU-bound tasks?',
    run: cpu,
    sizes: { rounds: rounds(20, 3) },
  }),
  scenario({
    name: 'stall',
    question: 'Does a long synchronous task lose its lease?',
    run: stall,
    sizes: {
      leaseMs: { full: 3_000, quick: 1_000, meaning: 'the lease, in milliseconds' },
      spinMs: { full: 18_000, quick: 4_000, meaning: 'how long each task blocks its thread, in milliseconds' },
    },
    isGate: true,
  }),
  scenario({
    name: 'memory',
    question: 'How many bytes does a task take in Redis while it waits?',
    run: memory,
    sizes: { tasks: { full: 50_000, quick: 10_000, meaning: 'tasks that wait' } },
    isGate: true,
  }),
  scenario({
    name: 'backlog',
    question: 'Does a backlog of a million tasks slow anything down?',
    run: backlog,
    sizes: { rounds: rounds(1), tasks: { full: 1_000_000, quick: 60_000, meaning: 'tasks in the long backlog' } },
  }),
  scenario({
    name: 'short-behind-long',
    question: 'How long do short tasks wait among long ones?',
    run: shortBehindLong,
    sizes: {
      rounds: rounds(3),
      seconds: { full: 7, quick: 5, meaning: 'for how long tasks are added' },
      longMs: { full: 200, quick: 100, meaning: 'how long a long task takes, in milliseconds' },
    },
  }),
  scenario({
    name: 'priorities',
    question: 'How long does a task of high priority wait behind a long backlog?',
    run: priorities,
    sizes: {
      rounds: rounds(3),
      tasks: { full: 1_000_000, quick: 20_000, meaning: 'normal tasks in the backlog' },
      calls: { full: 300, quick: 100, meaning: 'tasks of high priority' },
    },
  }),
  scenario({
    name: 'memory-server',
    question: 'How much slower is memory:// than a redis-server?',
    run: memoryServer,
    sizes: { rounds: rounds(3), tasks: { full: 8_000, quick: 4_000, meaning: 'tasks in a run' } },
  }),
  scenario({
    name: 'limits',
    question: 'What does a limit cost that never makes a task wait?',
    run: limits,
    sizes: { rounds: rounds(3), tasks: tasks(40_000, 20_000) },
  }),
  scenario({
    name: 'metrics',
    question: 'What do metrics cost?',
    run: metrics,
    sizes: { rounds: rounds(5), tasks: tasks(60_000, 30_000) },
  }),
  scenario({
    name: 'partitions',
    question: 'What do partitions cost a worker and a producer?',
    run: partitions,
    sizes: { rounds: rounds(9), tasks: tasks(60_000, 20_000) },
  }),
  scenario({
    name: 'masters',
    question: 'Does each master of a cluster do its share of the work only?',
    run: masters,
    sizes: {
      rounds: rounds(3),
      tasks: tasks(60_000, 20_000),
      audited: { full: 5_000, quick: 1_000, meaning: 'tasks that are counted one by one' },
    },
  }),
  scenario({
    name: 'public-bullmq',
    question: "What do the four scenarios of BullMQ's own public benchmark say?",
    run: publicBullmq,
    sizes: {
      rounds: rounds(3),
      scale: { full: 1, quick: 1, meaning: 'how many times as many jobs as there' },
    },
  }),
  scenario({
    name: 'soak',
    question: 'Does anything grow while a worker is busy for a long time?',
    run: soak,
    sizes: { minutes: { full: 15, quick: 1, meaning: 'how long it takes, in minutes' } },
  }),
  scenario({
    name: 'micro',
    question: 'What does each part on the way of an execution cost by itself?',
    run: micro,
    sizes: { ms: { full: 500, quick: 60, meaning: 'how long each part is measured, in milliseconds' } },
    isGate: true,
  }),
];
