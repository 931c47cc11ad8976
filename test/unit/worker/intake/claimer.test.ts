import type { Redis } from 'ioredis';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { type AdmissionResult, admit } from '../../../../src/redis/admission-store.js';
import { type Claimed, claim } from '../../../../src/redis/delivery-store.js';
import { keysOf } from '../../../../src/redis/keys.js';
import type { Delivery } from '../../../../src/worker/delivery.js';
import { Claimer } from '../../../../src/worker/intake/claimer.js';
import { START_WITHIN_MS } from '../../../../src/worker/intake/late-starts.js';
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
  vi.mocked(claim).mockReset().mockResolvedValue({ refused: [], errors: [] });
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
    const answer = deferred<Claimed>();
    vi.mocked(claim).mockReturnValue(answer.promise);
    const batch = deliveries('a', 'b', 'c');
    claimer.claim(batch);
    expect([...claimer.claiming]).toEqual(batch);
    expect(calls).toEqual([]);
    answer.resolve({ refused: [1], errors: [] });
    await claimer.idle();
    expect(calls).toEqual(['take a,c', 'not claimed b', 'room']);
    expect(claimer.claiming.size).toBe(0);
  });

  test('is handed on in the order of reading, whichever claim is answered first', async () => {
    const { claimer, calls } = setUp();
    const first = deferred<Claimed>();
    vi.mocked(claim).mockReturnValueOnce(first.promise);
    vi.mocked(admit).mockResolvedValue([null]);
    claimer.claim(deliveries('a'));
    claimer.admit(limited('b'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toEqual([]);
    first.resolve({ refused: [], errors: [] });
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

test('a start that was counted long before it could be handed on is counted again', async () => {
  const { claimer, calls } = setUp();
  const first = deferred<Awaited<ReturnType<typeof claim>>>();
  vi.mocked(claim).mockReturnValueOnce(first.promise);
  vi.mocked(admit).mockResolvedValueOnce([null]).mockResolvedValueOnce(['parked']);
  const [one] = limited('b');
  const rate = { kind: 'rate', key: 'r', max: 1, perMs: 1_000, onExceeded: 'delay' } as const;
  claimer.claim(deliveries('a'));
  claimer.admit([{ ...one!, checks: [rate] }]);
  await waitFor(() => vi.mocked(admit).mock.settledResults.length === 1);
  const answered = performance.now();
  await waitFor(() => performance.now() - answered > START_WITHIN_MS + 50);
  first.resolve({ refused: [], errors: [] });
  await claimer.idle();
  expect(calls).toEqual(['take a', 'room', 'take ', 'not claimed b', 'room']);
});

test('a start whose count was answered late is counted again: the process may have stood still since', async () => {
  const { claimer, calls } = setUp();
  const answer = deferred<Awaited<ReturnType<typeof admit>>>();
  vi.mocked(admit).mockReturnValueOnce(answer.promise).mockResolvedValueOnce(['parked']);
  const rate = { kind: 'rate', key: 'r', max: 1, perMs: 1_000, onExceeded: 'delay' } as const;
  const sent = performance.now();
  claimer.admit([{ ...limited('a')[0]!, checks: [rate] }]);
  await waitFor(() => performance.now() - sent > START_WITHIN_MS + 50);
  answer.resolve([null]);
  await claimer.idle();
  expect(calls).toEqual(['take ', 'not claimed a', 'room']);
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
    claimer.close();
    await waitFor(() => lines.some(({ level }) => level === 'error'));
    await claimer.idle();
    expect(claim).toHaveBeenCalledTimes(1);
    expect(calls).toEqual(['not claimed a', 'room']);
  });
});
