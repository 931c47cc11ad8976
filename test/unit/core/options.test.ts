import { expect, test } from 'vitest';
import { Docket } from '../../../src/client/docket.js';
import { resolveDocketOptions } from '../../../src/client/options.js';
import { CallPreparer } from '../../../src/client/prepare.js';
import { StrikeList } from '../../../src/client/strike-list.js';
import { InvalidOptionError } from '../../../src/core/errors.js';
import { Agenda } from '../../../src/tasks/agenda.js';
import { call } from '../../../src/tasks/call.js';
import { configure } from '../../../src/tasks/configure.js';
import { depends } from '../../../src/tasks/dependencies.js';
import {
  concurrencyLimit,
  cooldown,
  cron,
  debounce,
  exponentialRetry,
  perpetual,
  rateLimit,
  retry,
} from '../../../src/tasks/policies.js';
import { task } from '../../../src/tasks/task.js';
import { resolveWorkerOptions } from '../../../src/worker/options.js';

// biome-ignore lint/suspicious/noExplicitAny: what plain JavaScript passes, the compiler would refuse
const js = (value: unknown): any => value;
const hello = task('hello', ({ name }: { name: string }) => name);
const docket = () => new Docket({ url: 'redis://localhost:1' });
const preparer = new CallPreparer(resolveDocketOptions({ url: 'redis://localhost:1' }), { nowMs: async () => 0 });
const add = (options: unknown) => preparer.prepare(hello, { name: 'ada' }, js(options));

test.each<[string, () => unknown, string, string]>([
  ['new Docket', () => new Docket(js({ redis: 'redis://other' })), 'redis', "did you mean 'url'?"],
  ['new Docket', () => new Docket(js({ executionTTL: '1m' })), 'executionTTL', "did you mean 'executionTtl'?"],
  [
    'new Docket',
    () => new Docket(js({ prefix: 'x' })),
    'prefix',
    'the options are name, url, connection, executionTtl',
  ],
  ['durability', () => new Docket(js({ durability: { replica: 1 } })), 'durability.replica', "mean 'replicas'?"],
  ['new Worker', () => resolveWorkerOptions(js({ thread: 4 })), 'thread', "did you mean 'threads'?"],
  ['new Worker', () => resolveWorkerOptions(js({ workers: 4 })), 'workers', "did you mean 'threads'?"],
  [
    'new StrikeList',
    () => new StrikeList(js({ docket: 'x' })),
    'docket',
    'the options are name, url, connection, onWarning',
  ],
  ['add', () => add({ delay: '5m' }), 'delay', "did you mean 'when'?"],
  ['add', () => add({ id: 'a' }), 'id', "did you mean 'key'?"],
  ['task', () => task('t', js({ retries: retry() }), () => {}), 'retries', "did you mean 'retry'?"],
  ['task', () => task('t', js({ schema: {} }), () => {}), 'schema', "did you mean 'input'?"],
  ['perpetual', () => perpetual(js({ interval: '5m' })), 'perpetual.interval', "did you mean 'every'?"],
  ['cron', () => cron('@daily', js({ tz: 'UTC' })), 'cron.tz', "did you mean 'timezone'?"],
  ['retry', () => retry(js({ maxAttempts: 5 })), 'retry.maxAttempts', "did you mean 'attempts'?"],
  ['exponentialRetry', () => exponentialRetry(js({ maxDelay: 5 })), 'exponentialRetry.maxDelay', "'maximumDelay'?"],
  ['concurrencyLimit', () => concurrencyLimit('a', js({ limit: 2 })), 'concurrencyLimit.limit', "mean 'max'?"],
  ['rateLimit', () => rateLimit(js({ max: 1, interval: '1s' })), 'rateLimit.interval', "did you mean 'per'?"],
  ['cooldown', () => cooldown(js({ duration: '1s' })), 'cooldown.duration', "did you mean 'window'?"],
  ['debounce', () => debounce(js({ windw: '1s' })), 'debounce.windw', "the only one is 'settle'"],
  ['configure', () => configure(js({ error: [] })), 'configure.error', "did you mean 'errors'?"],
  ['depends', () => depends(() => 1, js({ dependencies: {} })), 'depends.dependencies', "did you mean 'uses'?"],
  [
    'Agenda.add',
    () => new Agenda().add(hello, { name: 'a' }, js({ when: 5 })),
    'agenda.when',
    'the options are key, once',
  ],
])('%s refuses an option that does not exist, and names the nearest one', (_, make, option, hint) => {
  let error: unknown;
  try {
    make();
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(InvalidOptionError);
  expect((error as InvalidOptionError).option).toBe(option);
  expect((error as InvalidOptionError).message).toContain(hint);
});

test.each<[string, () => Promise<unknown>]>([
  ['addMany with options of its own', () => js(docket()).addMany([call(hello, { name: 'a' })], { when: '5m' })],
  ['addMany with options beside the arguments', () => docket().addMany([js({ task: hello, args: {}, when: '5m' })])],
  ['scatter', () => new Agenda().scatter(docket(), js({ over: '1h', jiter: '1s' }))],
  ['snapshot', () => docket().snapshot(js({ limits: 5 }))],
])('%s is refused', async (_, run) => {
  await expect(run()).rejects.toThrow(InvalidOptionError);
});

test('options that are not an object are refused', () => {
  expect(() => add('5m')).toThrow('options: expected an object, got string');
  expect(() => add(null)).toThrow('options: expected an object, got null');
});

test('a number that is a point in time is refused as a delay', async () => {
  const problem = /is a point in time, not a delay: pass a Date/;
  expect(() => add({ when: Date.now() + 60_000 })).toThrow(problem);
  const start = Date.now();
  const scattering = new Agenda().add(hello, { name: 'a' }).scatter(docket(), { over: '1h', start });
  await expect(scattering).rejects.toThrow(problem);
  expect(add({ when: 90_000 })).toMatchObject({ due: { delayMs: 90_000 } });
});
