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

/** What a body says of its next run. */
async function saidBy(
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
  ['that there is none', (control) => control.cancel(), { isEnded: true }],
])('a perpetual task can say of its next run: %s', async (_, body, next) => {
  expect(await saidBy(body)).toEqual(next);
});

test('a perpetual task that says nothing leaves it to its policy, even if it looks', async () => {
  expect(await saidBy(() => {})).toBe(undefined);
  expect(await saidBy((control) => void control.every)).toBe(undefined);
});

test('the next run can be given other arguments, as they are when it is said', async () => {
  const next = await saidBy((control) => {
    const args = { page: 2 };
    control.perpetuate(args);
    args.page = 3;
  });
  expect(decodeValue(next!.args!)).toEqual({ page: 2 });
  expect(next!.args!.buffer.byteLength).toBe(next!.args!.byteLength); // not a view of memory that is used again
});

test('all that is said holds together; of two due times the last one', async () => {
  const next = await saidBy((control) => {
    control.every = 7;
    control.after(1);
    control.perpetuate({ n: 1 });
    control.at(new Date(5));
  });
  expect(next).toEqual({ everyMs: 7, due: { atMs: 5 }, args: expect.any(Uint8Array) });
});

test('nothing revives a chain that was ended', async () => {
  const next = await saidBy((control) => {
    control.cancel();
    control.after(1);
    control.every = 1;
  });
  expect(next).toEqual({ isEnded: true });
});

test('the interval reads as what it is, in milliseconds', async () => {
  const read: number[] = [];
  await saidBy((control) => {
    read.push(control.every);
    control.every = 1_000;
    control.every *= 2;
    read.push(control.every);
  });
  expect(read).toEqual([300_000, 2_000]);
});

test('the functions work destructured', async () => {
  expect(await saidBy(({ after }) => after(3))).toEqual({ due: { delayMs: 3 } });
});

test('a task with a cron expression has no interval to read or to set, but may say when', async () => {
  const daily = cron('0 6 * * *');
  await expect(saidBy((control) => void control.every, daily)).rejects.toThrow(/cron expression.*after\(\) or at\(\)/);
  await expect(saidBy(setEvery(1), daily)).rejects.toThrow(/cron expression/);
  expect(await saidBy((control) => control.after('1m'), daily)).toEqual({ due: { delayMs: 60_000 } });
});

test.each<[string, (control: Control) => void]>([
  ['perpetual.every', setEvery(-1)],
  ['perpetual.after', (control) => control.after('soon' as never)],
  ['perpetual.at', (control) => control.at(new Date(Number.NaN))],
  ['perpetual.at', (control) => control.at('tomorrow' as never)],
  ['perpetual.perpetuate', (control) => control.perpetuate([1])],
  ['perpetual.perpetuate', (control) => control.perpetuate(null as never)],
])('what %s cannot accept is refused at the call', async (option, body) => {
  await expect(saidBy(body)).rejects.toMatchObject({ code: 'DOCKET_INVALID_OPTION', option });
});

test('arguments that cannot travel, or are too large, are refused at the call', async () => {
  const unencodable = saidBy((control) => control.perpetuate({ call: () => {} }));
  await expect(unencodable).rejects.toMatchObject({ code: 'DOCKET_UNENCODABLE_VALUE', path: 'args.call' });
  const large = saidBy((control) => control.perpetuate({ text: 'x'.repeat(2_000) }));
  await expect(large).rejects.toMatchObject({ code: 'DOCKET_PAYLOAD_TOO_LARGE' });
});

test('what was said holds for a run that fails, too', async () => {
  const again = task('again', { perpetual: perpetual() }, (_args: {}, ctx) => {
    ctx.perpetual.after(9);
    throw new Error('declined');
  });
  expect(await setUp([again]).outcomeOf('again')).toMatchObject({ kind: 'failed', next: { due: { delayMs: 9 } } });
});

test('a run that is tried again says anew what it has to say', async () => {
  const again = task('again', { perpetual: perpetual(), retry: retry() }, (_args: {}, ctx) => {
    ctx.perpetual.cancel();
    throw new Error('not yet');
  });
  const outcome = await setUp([again]).outcomeOf('again');
  expect(outcome).toEqual({ kind: 'retry', due: { delayMs: 0 }, line: 'Error: not yet' });
});

test('a task that is not perpetual has no control of it', async () => {
  const seen: unknown[] = [];
  const once = task('once', (_args: {}, ctx) => void seen.push((ctx as { perpetual?: unknown }).perpetual));
  await setUp([once]).outcomeOf('once');
  expect(seen).toEqual([undefined]);
});

test('a result and a next run come together', async () => {
  const again = task('again', { perpetual: perpetual() }, (_args: {}, ctx) => {
    ctx.perpetual.cancel();
    return 'done';
  });
  const outcome = await setUp([again]).outcomeOf('again');
  expect(outcome).toMatchObject({ kind: 'completed', next: { isEnded: true } });
  expect(outcome.kind === 'completed' && decodeValue(outcome.result!)).toBe('done');
});

test('a run that says something of the next one is not taken for one of which there is nothing to know', async () => {
  const again = task('again', { perpetual: perpetual() }, ({ says }: { says: boolean }, ctx) => {
    if (says) ctx.perpetual.cancel();
  });
  const { outcomeOf, slots } = setUp([again]);
  await outcomeOf('again', { says: false });
  await outcomeOf('again', { says: true });
  expect([slots.state(0), slots.state(1)]).toEqual([SlotState.returned, SlotState.finished]);
});
