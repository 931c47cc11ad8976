import type { Redis } from 'ioredis';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { type AdmissionResult, admit } from '../../../../src/redis/admission-store.js';
import { claim } from '../../../../src/redis/delivery-store.js';
import { keysOf } from '../../../../src/redis/keys.js';
import type { Delivery } from '../../../../src/worker/delivery.js';
import { Claimer } from '../../../../src/worker/intake/claimer.js';
import { recordingLogger } from '../../../support/logger.js';
import { deferred, waitFor } from '../../../support/wait.js';
import { deliveryWith } from '../deliveries.js';
import { linkOf } from '../links.js';

vi.mock(import('../../../../src/redis/delivery-store.js'), async (original) => ({
  ...(await original()),
  claim: vi.fn(),
}));
vi.mock(import('../../../../src/redis/admission-store.js'), async (original) => ({
  ...(await original()),
  admit: vi.fn(),
}));

beforeEach(() => {
  vi.mocked(claim).mockReset().mockResolvedValue([]);
  vi.mocked(admit).mockReset();
});

function setUp({ leaseMs = 10_000 } = {}) {
  const calls: string[] = [];
  const { logger, lines } = recordingLogger();
  const claimer = new Claimer({
    ...{ redis: {} as Redis, link: linkOf(), keys: keysOf('d'), consumer: 'w:1', workerName: 'w', leaseMs, logger },
    take: (deliveries) => calls.push(`take ${deliveries.map(({ record }) => record)}`),
    drop: (delivery, limit) => calls.push(`drop ${delivery.record} ${limit}`),
    onNotClaimed: (delivery) => calls.push(`not claimed ${delivery.record}`),
    onRoom: () => calls.push('room'),
  });
  return { claimer, calls, lines };
}

const deliveries = (...records: string[]) => records.map((record) => deliveryWith({ record }));
const limited = (...records: string[]) =>
  deliveries(...records).map((delivery: Delivery) => ({ kind: 'limited' as const, delivery, checks: [] }));

describe('what is claimed', () => {
  test('is in hand until the claim is answered, and then handed on without what was refused', async () => {
    const { claimer, calls } = setUp();
    const answer = deferred<number[]>();
    vi.mocked(claim).mockReturnValue(answer.promise);
    const batch = deliveries('a', 'b', 'c');
    claimer.claim(batch);
    expect([...claimer.claiming]).toEqual(batch);
    expect(calls).toEqual([]);
    answer.resolve([1]);
    await claimer.idle();
    expect(calls).toEqual(['take a,c', 'not claimed b', 'room']);
    expect(claimer.claiming.size).toBe(0);
  });

  test('is handed on in the order of reading, whichever claim is answered first', async () => {
    const { claimer, calls } = setUp();
    const first = deferred<number[]>();
    vi.mocked(claim).mockReturnValueOnce(first.promise);
    vi.mocked(admit).mockResolvedValue([null]);
    claimer.claim(deliveries('a'));
    claimer.admit(limited('b'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toEqual([]);
    first.resolve([]);
    await claimer.idle();
    expect(calls).toEqual(['take a', 'room', 'take b', 'room']);
  });

  test('nobody asks about nothing', async () => {
    const { claimer, calls } = setUp();
    claimer.claim([]);
    claimer.admit([]);
    await claimer.idle();
    expect(claim).not.toHaveBeenCalled();
    expect(admit).not.toHaveBeenCalled();
    expect(calls).toEqual([]);
  });
});

describe('what must pass limits', () => {
  test.each<[AdmissionResult, string[]]>([
    ['refused', []],
    ['parked', []],
    ['failed', []],
    ['cooldown', ['drop a cooldown']],
    ['debounce', ['drop a debounce']],
    ['rate', ['drop a rate']],
  ])('and is %s is not ours to run', async (result, dropped) => {
    const { claimer, calls, lines } = setUp();
    vi.mocked(admit).mockResolvedValue([result, null]);
    claimer.admit(limited('a', 'b'));
    await claimer.idle();
    expect(calls).toEqual(['take b', 'not claimed a', ...dropped, 'room']);
    expect(lines.map(({ level }) => level)).toEqual(result === 'failed' ? ['error'] : []);
  });
});

describe('a claim that fails', () => {
  test('is tried again, and the time of its answer is known', async () => {
    const { claimer, calls, lines } = setUp();
    vi.mocked(claim).mockRejectedValueOnce(new Error('the link broke'));
    expect(claimer.lastAnswerMs).toBe(0);
    claimer.claim(deliveries('a'));
    await claimer.idle();
    expect(calls).toEqual(['take a', 'room']);
    expect(lines).toMatchObject([{ level: 'warn', message: 'claiming failed, trying again' }]);
    expect(claimer.lastAnswerMs).toBeGreaterThan(0);
  });

  test('is given up when the lease is over, and leaves its room', async () => {
    const { claimer, calls, lines } = setUp({ leaseMs: 0 });
    vi.mocked(claim).mockRejectedValue(new Error('the link broke'));
    claimer.claim(deliveries('a', 'b'));
    await claimer.idle();
    expect(calls).toEqual(['not claimed a', 'not claimed b', 'room']);
    expect(lines.at(-1)).toMatchObject({ level: 'error', fields: { count: 2 } });
    expect(claimer.claiming.size).toBe(0);
  });

  test('is not tried again by a worker that stops', async () => {
    const { claimer, calls, lines } = setUp();
    vi.mocked(claim).mockRejectedValue(new Error('the link broke'));
    claimer.claim(deliveries('a'));
    claimer.stopRetrying();
    await waitFor(() => lines.some(({ level }) => level === 'error'));
    await claimer.idle();
    expect(claim).toHaveBeenCalledTimes(1);
    expect(calls).toEqual(['not claimed a', 'room']);
  });
});
