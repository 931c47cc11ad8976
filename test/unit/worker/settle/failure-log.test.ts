import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Logger } from '../../../../src/tasks/context.js';
import { encodeError } from '../../../../src/wire/codec.js';
import { FloodLog } from '../../../../src/worker/flood-log.js';
import { FailureLog } from '../../../../src/worker/settle/failure-log.js';
import { deliveryWith } from '../deliveries.js';

interface Line {
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

let lines: Line[] = [];
const write =
  (level: string) =>
  (...[fields, message]: unknown[]) =>
    void lines.push({ level, fields, message } as Line);
const logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') } as Logger;

let floodLog = new FloodLog(logger);
const failureLog = () => new FailureLog(logger, floodLog);

beforeEach(() => {
  lines = [];
  floodLog = new FloodLog(logger);
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a failure is logged as an error, with its stack and that of its cause', () => {
  const error = new TypeError('outer', { cause: new Error('inner') });
  failureLog().log(deliveryWith(), 'failed: TypeError: outer', encodeError(error));
  expect(lines).toMatchObject([{ level: 'error', message: 'resize failed: TypeError: outer' }]);
  expect(lines[0]!.fields.stack).toBe(`${error.stack}\ncaused by ${(error.cause as Error).stack}`);
});

test('a thrown value without a stack is logged without one', () => {
  const log = failureLog();
  for (const thrown of ['text', { stack: 'x' }, null]) log.log(deliveryWith(), 'failed', encodeError(thrown));
  log.log(deliveryWith(), 'failed', Buffer.from('rubbish'));
  expect(lines).toHaveLength(4);
  for (const { fields } of lines) expect(fields).not.toHaveProperty('stack');
});

test('in a flood, ten failures of a task are logged in ten seconds, and then how many more there were', () => {
  const log = failureLog();
  for (let i = 0; i < 1_000; i++) log.log(deliveryWith(), 'failed: E', null);
  expect(lines).toHaveLength(10);
  vi.advanceTimersByTime(10_000);
  expect(lines.slice(10)).toEqual([
    { level: 'error', fields: { task: 'resize', count: 990 }, message: 'resize failed 990 more times in 10 seconds' },
  ]);
  log.log(deliveryWith(), 'failed: E', null);
  expect(lines).toHaveLength(12);
});

test('what was only counted is logged when the worker ends, and no timer is left', () => {
  const log = failureLog();
  for (let i = 0; i < 11; i++) log.log(deliveryWith(), 'failed: E', null);
  floodLog.endPeriod();
  expect(lines.at(-1)?.fields).toEqual({ task: 'resize', count: 1 });
  expect(vi.getTimerCount()).toBe(0);
});
