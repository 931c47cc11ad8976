import { describe, expect, test } from 'vitest';
import type { Entry } from '../../../../src/redis/entry.js';
import { perpetual, type TaskPolicies } from '../../../../src/tasks/policies.js';
import { encoderFor } from '../../../../src/wire/codec.js';
import { Envelope, encodeEnvelope } from '../../../../src/wire/envelope.js';
import type { Delivery } from '../../../../src/worker/delivery.js';
import {
  ended,
  followed,
  paused,
  redelivered,
  requeued,
  rerouted,
  retried,
} from '../../../../src/worker/settle/settlements.js';
import { deliveryWith, messageOf } from '../deliveries.js';

/** A delivery that has been about: each count tells what was kept of it. */
function delivery(rest: Partial<Entry> = {}, policies: TaskPolicies = {}): Delivery {
  const counts = { deliveries: 2, charges: 1, reroutes: 4, admissionStage: 'debounce-over' as const };
  return deliveryWith({ ...counts, ...rest }, policies);
}

/** A delivery of an execution that runs every 7 ms. */
const repeating = (rest: Partial<Entry>) => delivery(rest, { perpetual: perpetual({ every: 7 }) });

/** What stays when an execution goes on with the same attempt. */
const SAME = {
  ...{ kind: 'moved', token: 'w17-3', id: 'k', ttlMs: 60_000, message: null, keepsDue: true },
  ...{ deliveries: 2, charges: 1, reroutes: 4 },
};

describe('an end is written', () => {
  test('with state and TTL, and nothing that there is not', () => {
    expect(ended(delivery(), 'k', { state: 'completed', result: null })).toEqual({
      ...{ kind: 'ended', token: 'w17-3', record: 'k', ttlMs: 60_000, state: 'completed' },
      ...{ result: null, error: null, errorLine: '', endsChainOf: '', endsChain: false, message: null },
    });
  });

  test('with its error, the line for it, and the task whose chain it ends', () => {
    const ending = { state: 'failed', error: new Uint8Array([2]), errorLine: 'E: no', endsChainOf: 'resize' } as const;
    const settlement = ended(delivery(), 'k', ending);
    expect(settlement).toMatchObject({ state: 'failed', errorLine: 'E: no', endsChainOf: 'resize' });
    expect(settlement).toMatchObject({ result: null, error: Buffer.from([2]) });
  });

  test('with its own bytes of the result, where that is a part of others', () => {
    const settlement = ended(delivery(), 'k', {
      state: 'completed',
      result: new Uint8Array([1, 2, 3, 4]).subarray(1, 3),
    });
    expect(settlement).toMatchObject({ result: Buffer.from([2, 3]) });
  });
});

test('a paused execution waits in the line of its task with all that it has, by its due time if it has no record', () => {
  const to = { lineOf: 'resize', ticket: 1_000_003 };
  expect(paused(delivery(), true)).toEqual({ ...SAME, to, admissionStage: 'attempt-admitted' });
  expect(paused(delivery(), false)).toEqual({ ...SAME, to, admissionStage: null });
});

describe('the next run of a perpetual task', () => {
  test('begins anew: the first attempt, the same arguments, when it is due', () => {
    const late = repeating({ message: (retried(delivery(), { delayMs: 0 }, 'Error: no') as Again).message });
    expect(late.envelope.attempt).toBe(2);
    const failed = { state: 'failed', errorLine: 'Error: x' } as const;
    const settlement = followed(late, failed, { due: { atMs: 5_000 }, args: null, counts: true });
    expect(settlement).toEqual({
      ...{ kind: 'followed', token: 'w17-3', record: 'k', state: 'failed', due: { atMs: 5_000 } },
      ...{ id: 'k', ttlMs: 60_000, message: messageOf(), errorLine: 'Error: x', chain: '{"everyMs":7}' },
    });
  });

  test('takes other arguments when they were given', () => {
    const args = encodeEnvelope(encoderFor({ size: 10 }, 'args'), 'resize', 60_000, 'id', { size: 10 });
    const given = new Envelope(args).args;
    const one = repeating({ record: null, message: messageOf({ id: 'id' }) });
    const next = { due: { delayMs: 7 }, args: given, counts: true };
    expect(followed(one, { state: 'completed' }, next)).toMatchObject({
      ...{ record: null, id: 'id', due: { delayMs: 7 }, message: args },
    });
  });
});

type Again = Extract<ReturnType<typeof retried>, { kind: 'moved' }>;

describe('the next attempt', () => {
  test('is the message with the next number, and forgets what its deliveries came to', () => {
    const settlement = retried(delivery(), { delayMs: 50 }, 'Error: no') as Again;
    expect(settlement).toEqual({
      ...{
        ...SAME,
        to: { delayMs: 50 },
        message: expect.any(Buffer),
        keepsDue: false,
        admissionStage: 'submission-admitted',
      },
      ...{ deliveries: 0, charges: 0, reroutes: 0, failedWith: 'Error: no' },
    });
    const { attempt, args } = new Envelope(settlement.message!);
    expect([attempt, args]).toEqual([2, new Envelope(messageOf()).args]);
  });

  test.each([
    ['at once goes behind what waits', { delayMs: 0 }, { stream: 'work' }],
    ['overdue goes behind what waits', { delayMs: -1 }, { stream: 'work' }],
    ['later waits', { delayMs: 0.5 }, { delayMs: 0.5 }],
    ['at a time waits for that', { atMs: 5 }, { atMs: 5 }],
  ])('%s', (_, due, to) => {
    expect(retried(delivery(), due, 'Error: no')).toMatchObject({ to });
  });

  test('of a perpetual task keeps the due time that the next run is counted from', () => {
    const policies = { perpetual: perpetual({ every: '1m' }) };
    expect(retried(delivery({}, policies), { delayMs: 5 }, 'Error: no')).toMatchObject({ keepsDue: true });
    expect(retried(delivery({}, {}), { delayMs: 5 }, 'Error: no')).toMatchObject({ keepsDue: false });
  });
});

describe('the same attempt', () => {
  test('that has not run, or was cut short, goes to whoever reads next, past cooldown and debounce', () => {
    expect(requeued(delivery())).toEqual({ ...SAME, to: { stream: 'front' }, admissionStage: 'attempt-admitted' });
  });

  test.each([0, 1] as const)('that lost its thread counts that delivery, and is charged %d for it', (charge) => {
    const counts = { deliveries: 3, charges: 1 + charge };
    expect(redelivered(delivery(), charge)).toEqual({
      ...SAME,
      ...counts,
      to: { stream: 'front' },
      admissionStage: 'attempt-admitted',
    });
  });

  test('that waits for its turn does so for a while, past the limits it has met', () => {
    expect(requeued(delivery(), { delayMs: 1_000 })).toEqual({
      ...SAME,
      to: { delayMs: 1_000 },
      admissionStage: 'attempt-admitted',
    });
  });

  test('that was not claimed meets its limits when it is read again', () => {
    expect(requeued(delivery(), { delayMs: 1_000, isAdmitted: false })).toEqual({
      ...SAME,
      to: { delayMs: 1_000 },
      admissionStage: null,
    });
  });

  test('that nobody here can run waits, and counts how often', () => {
    expect(rerouted(delivery(), { delayMs: 10_000, isAdmitted: false, isRecallable: false })).toEqual({
      ...SAME,
      to: { delayMs: 10_000 },
      reroutes: 5,
      admissionStage: null,
      recalledFor: null,
    });
  });

  test('that no live worker can run names its task, for a worker that has it later', () => {
    const settlement = rerouted(delivery(), { delayMs: 10_000, isAdmitted: false, isRecallable: true });
    expect(settlement).toMatchObject({ reroutes: 5, recalledFor: delivery().envelope.task });
  });

  test('that a thread refused after its claim does not meet its limits again', () => {
    const settlement = rerouted(delivery(), { delayMs: 10_000, isAdmitted: true, isRecallable: false });
    expect(settlement).toMatchObject({ reroutes: 5, admissionStage: 'attempt-admitted' });
  });

  test('that a rate has counted is counted again unless it has started', () => {
    const counted = delivery({ hasBooking: true });
    counted.countedBy = 'resize';
    expect(requeued(counted)).toMatchObject({ booking: '1 resize' });
    expect(rerouted(counted, { delayMs: 10_000, isAdmitted: true, isRecallable: false })).toMatchObject({
      booking: '1 resize',
    });
    expect(requeued(counted, { hasStarted: true })).toMatchObject({ booking: null });
    expect(redelivered(counted, 0)).toMatchObject({ booking: null });
    expect(paused(counted, true)).toMatchObject({ booking: '1 resize' });
  });

  test('without a record is found by its id', () => {
    const lean = delivery({ record: null, message: messageOf({ id: 'id', ttlMs: 0 }) });
    expect(requeued(lean)).toMatchObject({ id: 'id', ttlMs: 0 });
  });
});
