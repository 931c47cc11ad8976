import { describe, expect, test } from 'vitest';
import { RedisUnavailableError } from '../../../src/core/errors.js';
import type {
  FailureGroupsJson,
  FailuresJson,
  FoundJson,
  HistoryJson,
  SchedulesJson,
  StrikesJson,
  TasksJson,
} from '../../../src/dashboard/api.js';
import { makeApp } from '../../../src/dashboard/server/app.js';
import { fakeSettings, fakeSource } from '../../support/fake-source.js';

function asker(docket: object, given: Parameters<typeof fakeSettings>[0] = {}, more = {}) {
  const { settings, lines } = fakeSettings(given);
  const app = makeApp(fakeSource(docket, more), settings);
  const ask = async (path: string) => await app.fetch(new Request(`http://ops.example/api/${path}`));
  return { ask, lines, read: async <T>(path: string) => (await (await ask(path)).json()) as T };
}

function failure(id: number, more: object = {}) {
  return {
    id: `${id}-0`,
    key: `key-${id}`,
    task: 'charge',
    kind: 'failed',
    errorName: 'TypeError',
    errorLine: `TypeError: ${'x'.repeat(10_000)}`,
    error: new TypeError('x'.repeat(100_000)),
    reason: null,
    attempts: 1,
    deliveries: 0,
    worker: 'w',
    thread: 1,
    addedAt: null,
    startedAt: null,
    failedAt: new Date(id),
    args: () => ({ orderId: 'o-1', card: '4242' }),
    ...more,
  };
}

async function* endless<T>(make: (i: number) => T, limit = Number.POSITIVE_INFINITY) {
  for (let i = 1; i <= limit; i++) yield make(i);
}

describe('answers are bounded', () => {
  test('failures: a hundred are listed, texts are cut off, and it says where the next page begins', async () => {
    const asked: object[] = [];
    const failures = (filter: { limit: number }) => {
      asked.push(filter);
      return endless((i) => failure(i), filter.limit);
    };
    const { ask } = asker({ failures, failure: async () => failure(1) });
    const text = await (await ask('failures?task=t&error=E&since=5&before=7-1')).text();
    const { failures: listed, next } = JSON.parse(text) as FailuresJson;
    expect([listed.length, next]).toEqual([100, '100-0']);
    expect(asked).toEqual([{ task: 't', errorName: 'E', since: new Date(5), before: '7-1', limit: 101 }]);
    expect(text.length).toBeLessThan(100_000);
    expect((await (await ask('failure?id=1-0')).text()).length).toBeLessThan(40_000);
  });

  test('groups of failures: one page is counted, whose parts are joined', async () => {
    const group = { task: 't', errorName: 'E', count: 2 };
    const groups = [
      { ...group, newestId: '9-0' },
      { ...group, errorName: null, newestId: '8-0' },
      { ...group, newestId: '5-0' },
    ];
    const { read } = asker({}, {}, { failureGroups: async () => ({ groups, next: '4-0' }) });
    expect(await read<FailureGroupsJson>('failure-groups')).toEqual({
      groups: [
        { task: 't', errorName: 'E', count: 4, newest: 9 },
        { task: 't', errorName: null, count: 2, newest: 8 },
      ],
      next: '4-0',
    });
  });

  test('schedules: five hundred are listed, and it says that there are more', async () => {
    const schedule = (i: number) => {
      const policy = { kind: 'cron', expression: '* * * * *', timezone: 'UTC' };
      const rest = { description: 'every minute', nextRuns: [], lastOutcome: null, runsLeft: null, until: null };
      return { key: `k-${i}`, task: 't', policy, ...rest, isAutomatic: false };
    };
    const { read } = asker({ schedules: ({ limit }: { limit: number }) => endless(schedule, limit) });
    const { schedules, isCut } = await read<SchedulesJson>('schedules');
    expect([schedules.length, isCut]).toEqual([500, true]);
  });

  test('history: two days are joined to 240 points that count the same', async () => {
    const minute = { started: 2, succeeded: 1, failed: 1, retried: 0, waiting: null, duration: null };
    const history = async ({ minutes }: { minutes: number }) =>
      Array.from({ length: minutes }, (_, i) => ({ ...minute, at: new Date(i * 60_000) }));
    const { read } = asker({ history });
    const { points } = await read<HistoryJson>('history?minutes=2880');
    expect(points).toHaveLength(240);
    expect(points.reduce((sum, { started }) => sum + started, 0)).toBe(5_760);
  });

  test.each([
    'history?minutes=2881',
    'history?minutes=0',
    'tasks?minutes=61',
    'history?minutes=x',
    'executions?list=ended',
    'find?state=odd',
  ])('what is asked for is checked: %s', async (path) => {
    const { ask } = asker({});
    expect((await ask(path)).status).toBe(400);
  });
});

test('all pages share one reading of the counts of the tasks, but none of what is paused', async () => {
  let readings = 0;
  let pauses: readonly { task: string; reason: string; since: Date }[] = [];
  const stats = async () => {
    readings += 1;
    return [];
  };
  const source = fakeSource({ stats, pauses: async () => pauses, strikes: async () => [] });
  const app = makeApp(source, fakeSettings().settings);
  const read = async (minutes: number) =>
    (await (await app.request(`/api/tasks?minutes=${minutes}`)).json()) as TasksJson;
  await Promise.all(Array.from({ length: 20 }, () => read(60)));
  pauses = [{ task: 'charge', reason: 'manual', since: new Date(1) }];
  expect((await read(60)).tasks).toMatchObject([{ task: 'charge', pauses: [{ reason: 'manual' }] }]);
  expect(readings).toBe(1);
  await read(30);
  expect(readings).toBe(2);
});

describe('arguments are private', () => {
  const docket = { failure: async () => failure(1) };
  const workers = async () => [{ logged: { charge: ['orderId'] } }];

  test('those that a task logs are shown, and of others the names', async () => {
    const { read } = asker(docket, {}, { workers });
    const { args } = await read<{ args: object }>('failure?id=1-0');
    expect(args).toEqual({ text: "{ orderId: 'o-1' }", hidden: ['card'] });
  });

  test('no value is shown when no worker says which may be', async () => {
    const { read } = asker(docket);
    const { args } = await read<{ args: object }>('failure?id=1-0');
    expect(args).toEqual({ text: null, hidden: ['orderId', 'card'] });
  });

  test('all are shown when the operator says so', async () => {
    const { read } = asker(docket, { showsArguments: true });
    const { args } = await read<{ args: object }>('failure?id=1-0');
    expect(args).toEqual({ text: "{ orderId: 'o-1', card: '4242' }", hidden: [] });
  });

  test('arguments that cannot be read do not keep the failure from being shown', async () => {
    const args = () => {
      throw new Error('torn');
    };
    const { read } = asker({ failure: async () => failure(1, { args }) });
    expect(await read('failure?id=1-0')).toMatchObject({ args: { text: '(cannot be read: torn)' } });
  });
});

test('executions are looked for by task, state and arguments, page by page', async () => {
  const asked: unknown[] = [];
  const listPage = async (options: unknown) => {
    asked.push(options);
    return { executions: [], lookedAt: 1_000, next: 'n' };
  };
  const { read, ask } = asker({ listPage });
  const where = encodeURIComponent('customerId=c-1 rows=3 name="two words" big=12345678901234567890');
  expect(await read<FoundJson>(`find?task=charge&state=queued&after=p&where=${where}`)).toEqual({
    executions: [],
    lookedAt: 1_000,
    next: 'n',
  });
  const values = { customerId: 'c-1', rows: 3, name: 'two words', big: 12345678901234567890n };
  expect(asked).toEqual([{ limit: 200, lookAt: 1_000, after: 'p', task: 'charge', state: 'queued', where: values }]);
  expect((await ask('find?where=customerId')).status).toBe(400);
});

test('executions are counted page by page, looking at no more than a search does', async () => {
  const asked: unknown[] = [];
  const listPage = async (options: unknown) => {
    asked.push(options);
    return { executions: [{}, {}], lookedAt: 1_000, next: null };
  };
  const { read } = asker({ listPage });
  expect(await read('count?task=charge')).toEqual({ count: 2, lookedAt: 1_000, next: null });
  expect(asked).toEqual([{ limit: 1_000, lookAt: 1_000, after: null, task: 'charge' }]);
});

test('a task has the policies that a worker announces, and it is told when workers differ', async () => {
  const worker = (consumer: string) => ({ consumer, name: consumer, tasks: ['a', 'b', 'c'], canClaim: true });
  const workers = async () => [worker('new'), worker('old'), worker('silent')] as never;
  const policies = async () => [{ a: ['3 attempts'], b: [] }, { a: ['5 attempts'], b: [] }, null];
  const nothing = { stats: async () => [], pauses: async () => [], strikes: async () => [] };
  const { tasks } = await asker(nothing, {}, { workers, policies }).read<TasksJson>('tasks');
  expect(tasks.map(({ policies, doPoliciesDiffer }) => [policies, doPoliciesDiffer])).toEqual([
    [['3 attempts'], true],
    [[], false],
    [null, false],
  ]);
});

test('the values of strikes travel with what JSON lacks', async () => {
  const strike = { task: null, parameter: 'rows', operator: 'between', description: '', since: new Date(0) };
  const strikes = async () => [
    { ...strike, value: [1n, new Date(5)] },
    { ...strike, value: Number.POSITIVE_INFINITY },
    { task: 't', parameter: null, operator: null, description: '', since: new Date(0) },
  ];
  const { read } = asker({ strikes });
  const { strikes: listed } = await read<StrikesJson>('strikes');
  expect(listed.map(({ value }) => value)).toEqual([[{ bigint: '1' }, { date: 5 }], { number: 'Infinity' }, undefined]);
});

test('an error of Redis is told, and one that nobody expected is logged and not told', async () => {
  const failing = (error: Error) => asker({ strikes: () => Promise.reject(error) });
  const down = await failing(new RedisUnavailableError('redis cannot be reached')).ask('strikes');
  expect([down.status, await down.json()]).toEqual([
    503,
    { code: 'DOCKET_REDIS_UNAVAILABLE', message: 'redis cannot be reached' },
  ]);
  const { ask, lines } = failing(new Error('a secret'));
  const broken = await ask('strikes');
  expect(broken.status).toBe(500);
  expect(await broken.text()).not.toContain('secret');
  expect(lines).toMatchObject([{ level: 'error' }]);
});
