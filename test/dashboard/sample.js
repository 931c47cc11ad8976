/** A shop's docket that is made up, as the server of the dashboard sees it: for pictures. */
const now = Date.now();
const later = (ms) => new Date(now + ms);
const TASKS = ['charge', 'compress-video', 'report', 'send-email', 'sync-crm', 'thumbnail'];
const MINUTE = 60_000;

const workers = [8, 5].map((running, i) => {
  const name = `worker-${i + 1}`;
  const counts = { threads: 8, concurrency: 8, running };
  const rest = { tasks: TASKS, hasFallback: false, canClaim: true, seenMs: now - 900, logged: { charge: ['orderId'] } };
  const versions = { version: '0.1.0', nodeVersion: 'v22.14.0', isDraining: false };
  return { name, consumer: `${name}:1a2b`, ...counts, ...rest, ...versions };
});

const running = Array.from({ length: 13 }, (_, i) => ({
  key: `${TASKS[i % 6]}-${4_200 + i * 37}`,
  task: TASKS[i % 6],
  attempt: i % 5 === 4 ? 2 : 1,
  priority: i === 1 ? 'high' : 'normal',
  worker: workers[i % 2].name,
  since: later(-i * 7_700 - 800),
}));

const ERRORS = [
  ['charge', 'PaymentDeclined', 'card was declined by the bank: insufficient funds'],
  ['charge', 'TimeoutError', "the execution took longer than its timeout of '30s'"],
  ['sync-crm', 'TypeError', "Cannot read properties of undefined (reading 'contacts')"],
  ['charge', 'PaymentDeclined', 'card has expired'],
  ['compress-video', 'Error', 'ffmpeg ended with code 1'],
];

const failures = Array.from({ length: 1_140 }, (_, i) => {
  const [task, errorName, message] = ERRORS[((i * i + i) % 7) % 5];
  const id = `${now - i * 3 * MINUTE}-0`;
  const times = { addedAt: null, startedAt: null, failedAt: later(-i * 3 * MINUTE) };
  const who = { worker: workers[i % 2].name, thread: 7, attempts: 1 + (i % 5), deliveries: 0, priority: 'normal' };
  const what = { kind: 'failed', errorName, errorLine: `${errorName}: ${message}`, error: null, reason: null };
  return { id, key: `${task}-${9_000 + i}`, task, ...what, ...who, ...times, args: () => ({}) };
});

const wave = (i, height) => Math.max(0, Math.round(height * (1.3 + Math.sin(i / 9) + 0.3 * Math.sin(i / 2.3))));
const times = (ms) => ({ p50Ms: ms, p95Ms: ms * 3.2, p99Ms: ms * 7 });

function minuteOf(i, minutes) {
  const counts = {
    started: wave(i, 900),
    succeeded: wave(i, 880),
    failed: i % 17 < 2 ? 90 : 4,
    retried: wave(i + 4, 40),
  };
  return {
    at: later(-(minutes - i) * MINUTE),
    ...counts,
    waiting: times(4 + wave(i, 30)),
    duration: times(40 + wave(i + 9, 60)),
  };
}

const stats = TASKS.map((task, i) => {
  const counts = { started: 4_100 - 300 * i, succeeded: 4_000 - 300 * i, failed: [61, 0, 0, 0, 17, 0][i], retried: 12 };
  const minutes = Array.from({ length: 15 }, (_, j) => wave(j + i, 300));
  return { task, ...counts, waiting: times(9), duration: times(70), startedByMinute: minutes, failedByMinute: [] };
});

const details = {
  key: 'charge-4200',
  task: 'charge',
  state: 'running',
  place: 'worker',
  hasRecord: true,
  isCancelled: false,
  priority: 'high',
  placedAt: later(-MINUTE),
  when: later(-MINUTE),
  scheduledFor: null,
  startedAt: later(-3_000),
  completedAt: null,
  expiresAt: null,
  attempt: 2,
  worker: workers[0].name,
  deliveries: 0,
  history: [
    { at: later(-MINUTE), kind: 'placed', attempt: null, worker: null, detail: null },
    { at: later(-55_000), kind: 'started', attempt: 1, worker: workers[0].name, detail: null },
    { at: later(-50_000), kind: 'retried', attempt: 1, worker: workers[0].name, detail: 'Error: the bank hung up' },
    { at: later(-3_000), kind: 'started', attempt: 2, worker: workers[0].name, detail: null },
  ],
  errorLine: null,
  progress: { current: 30, total: 100, message: 'asking the bank' },
  holds: [{ description: 'charge', max: 4 }],
  waitsFor: null,
  unknown: [],
  args: () => ({ orderId: 'o-17', card: 'private' }),
  result: () => undefined,
  error: () => undefined,
};

function groups() {
  return failures.map(({ task, errorName, id }) => ({ task, errorName, count: 1, newestId: id }));
}

async function* eachOf(list) {
  yield* list;
}

const totals = { queued: 48_213, scheduled: 1_204, waiting: 17, paused: 0, running: 13, failures: failures.length };
const lists = { queued: [], future: [], waiting: [], workers: [] };

const docket = {
  name: 'shop',
  snapshot: async () => ({ taken: new Date(), totals, running, pauses: [], ...lists }),
  history: async ({ minutes }) => Array.from({ length: minutes }, (_, i) => minuteOf(i, minutes)),
  failures: ({ limit }) => eachOf(failures.slice(0, limit)),
  show: async () => details,
  stats: async () => stats,
  pauses: async () => [],
  strikes: async () => [],
};

/** The source of which the dashboard is made. */
export function sampleSource() {
  const progress = (i) =>
    i % 3 === 2 ? null : { current: (17 + i * 23) % 100, total: 100, message: MESSAGES[i] ?? null };
  return {
    docket,
    url: 'redis://redis.internal:6379/0',
    version: '0.1.0',
    workers: async () => workers,
    oldestDueMs: async () => now - 42_000,
    policies: async () => [],
    failureGroups: async () => ({ groups: groups(), next: null }),
    progressOf: async (keys) => keys.map((_, i) => progress(i)),
    findings: async () => [],
  };
}

const MESSAGES = ['asking the bank', 'encoding frames'];
