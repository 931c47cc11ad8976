import { describe, expect, test } from 'vitest';
import { UndecodableValueError } from '../../../src/core/errors.js';
import type { Entry } from '../../../src/redis/entry.js';
import { perpetual, type TaskPolicies } from '../../../src/tasks/policies.js';
import { encoderFor } from '../../../src/wire/codec.js';
import { Envelope, encodeEnvelope, WIRE_VERSION } from '../../../src/wire/envelope.js';
import {
  type Delivery,
  deliveryOf,
  ended,
  followed,
  isSuspect,
  keyOf,
  redelivered,
  requeued,
  requeuedAfter,
  rerouted,
  retried,
  ticketOf,
} from '../../../src/worker/delivery.js';

const ARGS = { size: 9 };

function messageOf(id: string | null = null, ttlMs = 60_000): Buffer {
  return encodeEnvelope(encoderFor(ARGS, 'args'), 'resize', ttlMs, id, ARGS);
}

function entryOf(rest: Partial<Entry> = {}): Entry {
  const counts = {
    deliveries: 2,
    charges: 1,
    reroutes: 4,
    admissionStage: 'debounce-over' as const,
    holdsPermits: false,
  };
  return { token: 'w17-3', record: 'k', message: messageOf(), dueMs: 1_000, ...counts, ...rest };
}

function delivery(rest: Partial<Entry> = {}, policies: TaskPolicies = {}): Delivery {
  return deliveryOf(entryOf(rest), () => policies);
}

/** What stays when an execution goes on with the same attempt. */
const SAME = {
  ...{ kind: 'moved', token: 'w17-3', id: 'k', ttlMs: 60_000, message: null, keepsDue: true },
  ...{ deliveries: 2, charges: 1, reroutes: 4 },
};

describe('an entry becomes a delivery', () => {
  test('with all that it holds, and the policies of its task', () => {
    const policies = { timeoutMs: 5 };
    const entry = entryOf({ admissionStage: 'submission-admitted', holdsPermits: true });
    const asked: string[] = [];
    const made = deliveryOf(entry, (task) => {
      asked.push(task);
      return policies;
    });
    const { message, ...rest } = entry;
    expect(made).toEqual({ ...rest, envelope: expect.any(Envelope), policies });
    expect(made.envelope.bytes).toBe(message);
    expect(asked).toEqual(['resize']);
  });

  test('that nobody here can run when its task is unknown', () => {
    expect(deliveryOf(entryOf(), () => null).policies).toBeNull();
  });

  test('that nobody here can run when its message is newer, whether its task is known or not', () => {
    const message = messageOf();
    message[1] = WIRE_VERSION + 1;
    const made = deliveryOf(entryOf({ message }), () => ({ timeoutMs: 5 }));
    expect(made.policies).toBeNull();
    expect(made.envelope.task).toBe('resize');
  });

  test.each([null, Buffer.from('nonsense')])('unless it holds no message that can be read (%j)', (message) => {
    expect(() => deliveryOf(entryOf({ message }), () => ({}))).toThrow(UndecodableValueError);
  });
});

describe('an execution is known', () => {
  test('by the key of its record', () => {
    expect(keyOf(delivery({ record: 'k', message: messageOf('id') }))).toBe('k');
  });

  test('by the id in its message when it has no record, and by its entry when it has neither', () => {
    expect(keyOf(delivery({ record: null, message: messageOf('id') }))).toBe('id');
    expect(keyOf(delivery({ record: null }))).toBe('w17-3');
  });
});

test('it is a suspect from three deliveries without an outcome on', () => {
  expect([0, 2, 3, 4].map((deliveries) => isSuspect(delivery({ deliveries })))).toEqual([false, false, true, true]);
});

describe('the ticket of an execution without a record', () => {
  test('is its due time in microseconds, whenever its entry was added', () => {
    expect(ticketOf(delivery({ token: 'w99999-0', dueMs: 1_700_000_000_000 }))).toBe(1_700_000_000_000_000);
  });

  test('keeps the order of the stream within a millisecond, and never reaches into the next', () => {
    const tickets = (['f5-0', 'w5-1', 'w5-998', 'w5-999', 'w5-1000000'] as const).map((token) =>
      ticketOf(delivery({ token, dueMs: 5 })),
    );
    expect(tickets).toEqual([5_000, 5_001, 5_998, 5_999, 5_999]);
    expect(ticketOf(delivery({ token: 'w1-0', dueMs: 6 }))).toBeGreaterThan(tickets.at(-1)!);
  });
});

describe('an end is written', () => {
  test('with state and TTL, and nothing that there is not', () => {
    expect(ended(delivery(), 'k', { state: 'completed', result: null })).toEqual({
      ...{ kind: 'ended', token: 'w17-3', record: 'k', ttlMs: 60_000, state: 'completed' },
      ...{ result: null, error: null, errorLine: '', endsChainOf: '' },
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

describe('the next run of a perpetual task', () => {
  test('begins anew: the first attempt, the same arguments, when it is due', () => {
    const late = { ...delivery(), envelope: new Envelope((retried(delivery(), { delayMs: 0 }) as Again).message!) };
    expect(late.envelope.attempt).toBe(2);
    const settlement = followed(late, 'failed', { atMs: 5_000 }, null);
    expect(settlement).toEqual({
      ...{ kind: 'followed', token: 'w17-3', record: 'k', state: 'failed', due: { atMs: 5_000 } },
      ...{ id: 'k', ttlMs: 60_000, message: messageOf() },
    });
  });

  test('takes other arguments when they were given', () => {
    const args = encodeEnvelope(encoderFor({ size: 10 }, 'args'), 'resize', 60_000, 'id', { size: 10 });
    const given = new Envelope(args).args;
    const one = delivery({ record: null, message: messageOf('id') });
    expect(followed(one, 'completed', { delayMs: 7 }, given)).toMatchObject({
      ...{ record: null, id: 'id', due: { delayMs: 7 }, message: args },
    });
  });
});

type Again = Extract<ReturnType<typeof retried>, { kind: 'moved' }>;

describe('the next attempt', () => {
  test('is the message with the next number, and forgets what its deliveries came to', () => {
    const settlement = retried(delivery(), { delayMs: 50 }) as Again;
    expect(settlement).toEqual({
      ...{
        ...SAME,
        to: { delayMs: 50 },
        message: expect.any(Buffer),
        keepsDue: false,
        admissionStage: 'submission-admitted',
      },
      ...{ deliveries: 0, charges: 0, reroutes: 0 },
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
    expect(retried(delivery(), due)).toMatchObject({ to });
  });

  test('of a perpetual task keeps the due time that the next run is counted from', () => {
    const policies = { perpetual: perpetual({ every: '1m' }) };
    expect(retried(delivery({}, policies), { delayMs: 5 })).toMatchObject({ keepsDue: true });
    expect(retried(delivery({}, {}), { delayMs: 5 })).toMatchObject({ keepsDue: false });
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

  test('that waits for its turn does so for a while, as it came', () => {
    expect(requeuedAfter(delivery(), 1_000)).toEqual({
      ...SAME,
      to: { delayMs: 1_000 },
      admissionStage: 'attempt-admitted',
    });
  });

  test('that nobody here can run waits, and counts how often', () => {
    expect(rerouted(delivery(), 10_000)).toEqual({
      ...SAME,
      to: { delayMs: 10_000 },
      reroutes: 5,
      admissionStage: null,
    });
  });

  test('without a record is found by its id', () => {
    const lean = delivery({ record: null, message: messageOf('id', 0) });
    expect(requeued(lean)).toMatchObject({ id: 'id', ttlMs: 0 });
  });
});
