import { expect, test } from 'vitest';
import { SlotState } from '../../../src/channel/slots.js';
import type { Duration } from '../../../src/core/duration.js';
import type { PerpetualControl } from '../../../src/tasks/context.js';
import type { NextRunOverride } from '../../../src/tasks/next-run.js';
import { cron, type PerpetualPolicy, perpetual, retry } from '../../../src/tasks/policies.js';
import { task } from '../../../src/tasks/task.js';
import { decodeError, decodeValue } from '../../../src/wire/codec.js';
import { setUp } from '../../support/executor.js';

type Control = PerpetualControl['perpetual'];

const setEvery = (every: Duration) => (control: Control) => {
  control.every = every;
};

/** Runs a body and returns its request for the next run. */
async function nextRunAfter(
  body: (control: Control) => void,
  policy: PerpetualPolicy = perpetual({ every: '5m' }),
): Promise<NextRunOverride | undefined> {
  const { outcomeOf } = setUp([task('again', { perpetual: policy }, (_args: {}, ctx) => body(ctx.perpetual))]);
  const outcome = await outcomeOf('again');
  if (outcome.kind === 'failed') throw decodeError(outcome.error);
  expect(outcome).toMatchObject({ kind: 'completed', result: null });
  return outcome.kind === 'completed' ? outcome.next : undefined;
}

test.each<[string, (control: Control) => void, NextRunOverride]>([
  ['another interval', setEvery('10s'), { everyMs: 10_000 }],
  ['a delay', (control) => control.after('2s'), { due: { delayMs: 2_000 } }],
  ['a time', (control) => control.at(new Date(1_790_000_000_000)), { due: { atMs: 1_790_000_000_000 } }],
  ['no next run', (control) => control.cancel(), { isEnded: true }],
])('a perpetual task can request for its next run: %s', async (_, body, next) => {
  expect(await nextRunAfter(body)).toEqual(next);
});

test('a perpetual task that requests nothing leaves the next run to its policy, even if it reads the interval', async () => {
  expect(await nextRunAfter(() => {})).toBe(undefined);
  expect(await nextRunAfter((control) => void control.every)).toBe(undefined);
});

test('the next run can be given other arguments, which are encoded at the call', async () => {
  const next = await nextRunAfter((control) => {
    const args = { page: 2 };
    control.perpetuate(args);
    args.page = 3;
  });
  expect(decodeValue(next!.args!)).toEqual({ page: 2 });
  expect(next!.args!.buffer.byteLength).toBe(next!.args!.byteLength); // not a view of memory that the encoder uses again
});

test('requests for the next run are combined, and the last of two due times wins', async () => {
  const next = await nextRunAfter((control) => {
    control.every = 7;
    control.after(1);
    control.perpetuate({ n: 1 });
    control.at(new Date(5));
  });
  expect(next).toEqual({ everyMs: 7, due: { atMs: 5 }, args: expect.any(Uint8Array) });
});

test('no later request revives a chain that was ended', async () => {
  const next = await nextRunAfter((control) => {
    control.cancel();
    control.after(1);
    control.every = 1;
  });
  expect(next).toEqual({ isEnded: true });
});

test('the interval is read in milliseconds', async () => {
  const read: number[] = [];
  await nextRunAfter((control) => {
    read.push(control.every);
    control.every = 1_000;
    control.every *= 2;
    read.push(control.every);
  });
  expect(read).toEqual([300_000, 2_000]);
});

test('the functions work when destructured', async () => {
  expect(await nextRunAfter(({ after }) => after(3))).toEqual({ due: { delayMs: 3 } });
});

test('a task with a cron expression has no interval, but can request a time', async () => {
  const daily = cron('0 6 * * *');
  await expect(nextRunAfter((control) => void control.every, daily)).rejects.toThrow(
    /cron expression.*after\(\) or at\(\)/,
  );
  await expect(nextRunAfter(setEvery(1), daily)).rejects.toThrow(/cron expression/);
  expect(await nextRunAfter((control) => control.after('1m'), daily)).toEqual({ due: { delayMs: 60_000 } });
});

test.each<[string, (control: Control) => void]>([
  ['perpetual.every', setEvery(-1)],
  ['perpetual.after', (control) => control.after('soon' as never)],
  ['perpetual.at', (control) => control.at(new Date(Number.NaN))],
  ['perpetual.at', (control) => control.at('tomorrow' as never)],
  ['perpetual.perpetuate', (control) => control.perpetuate([1])],
  ['perpetual.perpetuate', (control) => control.perpetuate(null as never)],
])('a value that %s cannot accept is refused at the call', async (option, body) => {
  await expect(nextRunAfter(body)).rejects.toMatchObject({ code: 'DOCKET_INVALID_OPTION', option });
});

test('arguments that cannot be encoded or are too large are refused at the call', async () => {
  const unencodable = nextRunAfter((control) => control.perpetuate({ call: () => {} }));
  await expect(unencodable).rejects.toMatchObject({ code: 'DOCKET_UNENCODABLE_VALUE', path: 'args.call' });
  const large = nextRunAfter((control) => control.perpetuate({ text: 'x'.repeat(2_000) }));
  await expect(large).rejects.toMatchObject({ code: 'DOCKET_PAYLOAD_TOO_LARGE' });
});

test('requests for the next run also hold when the run fails', async () => {
  const again = task('again', { perpetual: perpetual() }, (_args: {}, ctx) => {
    ctx.perpetual.after(9);
    throw new Error('declined');
  });
  expect(await setUp([again]).outcomeOf('again')).toMatchObject({ kind: 'failed', next: { due: { delayMs: 9 } } });
});

test('a retried run starts without the requests of its earlier attempt', async () => {
  const again = task('again', { perpetual: perpetual(), retry: retry() }, (_args: {}, ctx) => {
    ctx.perpetual.cancel();
    throw new Error('not yet');
  });
  const outcome = await setUp([again]).outcomeOf('again');
  expect(outcome).toEqual({ kind: 'retry', due: { delayMs: 0 }, line: 'Error: not yet' });
});

test('a task that is not perpetual has no ctx.perpetual', async () => {
  const seen: unknown[] = [];
  const once = task('once', (_args: {}, ctx) => void seen.push((ctx as { perpetual?: unknown }).perpetual));
  await setUp([once]).outcomeOf('once');
  expect(seen).toEqual([undefined]);
});

test('an outcome can have both a result and a request for the next run', async () => {
  const again = task('again', { perpetual: perpetual() }, (_args: {}, ctx) => {
    ctx.perpetual.cancel();
    return 'done';
  });
  const outcome = await setUp([again]).outcomeOf('again');
  expect(outcome).toMatchObject({ kind: 'completed', next: { isEnded: true } });
  expect(outcome.kind === 'completed' && decodeValue(outcome.result!)).toBe('done');
});

test('a run with a request for the next one is not marked as returned in the slot table', async () => {
  const again = task('again', { perpetual: perpetual() }, ({ ends }: { ends: boolean }, ctx) => {
    if (ends) ctx.perpetual.cancel();
  });
  const { outcomeOf, slots } = setUp([again]);
  await outcomeOf('again', { ends: false });
  await outcomeOf('again', { ends: true });
  expect([slots.state(0), slots.state(1)]).toEqual([SlotState.completedSilently, SlotState.finished]);
});
