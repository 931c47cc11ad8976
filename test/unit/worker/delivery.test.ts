import { describe, expect, test } from 'vitest';
import { UndecodableValueError } from '../../../src/core/errors.js';
import { Envelope, WIRE_VERSION } from '../../../src/wire/envelope.js';
import { deliveryOf, isSuspect, keyOf, logDelivery, ticketOf } from '../../../src/worker/delivery.js';
import { recordingLogger } from '../../support/logger.js';
import { deliveryWith, entryOf, messageOf, NO_PIPELINE } from './deliveries.js';

describe('an entry becomes a delivery', () => {
  test('with all that it holds, and the policies of its task', () => {
    const policies = { timeoutMs: 5 };
    const entry = entryOf({
      ...{ deliveries: 2, charges: 1, reroutes: 4 },
      ...{ admissionStage: 'submission-admitted', holdsPermits: true },
    });
    const asked: string[] = [];
    const made = deliveryOf(
      entry,
      (task) => {
        asked.push(task);
        return policies;
      },
      NO_PIPELINE,
    );
    const { message, ...rest } = entry;
    for (const [field, value] of Object.entries(rest)) expect(made[field as keyof typeof rest]).toBe(value);
    expect(made.entry).toBe(entry);
    expect(made.envelope).toBeInstanceOf(Envelope);
    expect(made.envelope.bytes).toBe(message);
    expect(made.policies).toBe(policies);
    expect(asked).toEqual(['resize']);
  });

  test('that nobody here can run when its task is unknown', () => {
    expect(deliveryOf(entryOf(), () => null, NO_PIPELINE).policies).toBeNull();
  });

  test('that nobody here can run when its message is newer, whether its task is known or not', () => {
    const message = messageOf();
    message[1] = WIRE_VERSION + 1;
    const made = deliveryOf(entryOf({ message }), () => ({ timeoutMs: 5 }), NO_PIPELINE);
    expect(made.policies).toBeNull();
    expect(made.envelope.task).toBe('resize');
  });

  test.each([null, Buffer.from('nonsense')])('unless it holds no message that can be read (%j)', (message) => {
    expect(() => deliveryOf(entryOf({ message }), () => ({}), NO_PIPELINE)).toThrow(UndecodableValueError);
  });
});

describe('an execution is known', () => {
  test('by the key of its record', () => {
    expect(keyOf(deliveryWith({ record: 'k', message: messageOf({ id: 'id' }) }))).toBe('k');
  });

  test('by the id in its message when it has no record, and by its entry when it has neither', () => {
    expect(keyOf(deliveryWith({ record: null, message: messageOf({ id: 'id' }) }))).toBe('id');
    expect(keyOf(deliveryWith({ record: null }))).toBe('w17-3');
  });

  test('in the log by its task, key and attempt', () => {
    const { logger, lines } = recordingLogger();
    logDelivery(logger, 'warn', deliveryWith(), 'failed: E');
    expect(lines).toEqual([
      { level: 'warn', fields: { task: 'resize', key: 'k', attempt: 1 }, message: 'resize failed: E' },
    ]);
  });
});

test('it is a suspect from three deliveries without an outcome on', () => {
  expect([0, 2, 3, 4].map((deliveries) => isSuspect(deliveryWith({ deliveries })))).toEqual([false, false, true, true]);
});

describe('the ticket of an execution without a record', () => {
  test('is its due time in microseconds, whenever its entry was added', () => {
    expect(ticketOf(deliveryWith({ token: 'w99999-0', dueMs: 1_700_000_000_000 }))).toBe(1_700_000_000_000_000);
  });

  test('keeps the order of the stream within a millisecond, and never reaches into the next', () => {
    const tickets = (['f5-0', 'w5-1', 'w5-998', 'w5-999', 'w5-1000000'] as const).map((token) =>
      ticketOf(deliveryWith({ token, dueMs: 5 })),
    );
    expect(tickets).toEqual([5_000, 5_001, 5_998, 5_999, 5_999]);
    expect(ticketOf(deliveryWith({ token: 'w1-0', dueMs: 6 }))).toBeGreaterThan(tickets.at(-1)!);
  });
});
