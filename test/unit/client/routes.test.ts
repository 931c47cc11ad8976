/** Where calls go under one layout, also while a partition cannot be reached. */
import { expect, test, vi } from 'vitest';
import type { Partition } from '../../../src/client/partition.js';
import type { PreparedCall } from '../../../src/client/prepare.js';
import { type Destination, Routes } from '../../../src/client/routes.js';
import { partitionOf } from '../../../src/client/routing.js';
import type { Writer } from '../../../src/client/writer.js';

/** Partitions of a cluster: each has a connection of its own. */
function routesTo(count: number, { isShared = false, slow = new Set<number>() } = {}): Routes {
  const shared = {};
  const destinations = Array.from({ length: count }, (_, i): Destination => {
    const connection = isShared ? shared : {};
    const writer = {
      get isSlow() {
        return slow.has(i);
      },
    };
    return { partition: { tag: String(i), connection } as unknown as Partition, writer: writer as Writer };
  });
  return new Routes({ version: '1', tags: destinations.map((_, i) => String(i)), draining: [] }, destinations);
}

function callWith(key: string | null): PreparedCall {
  const kind = key === null ? 'unique' : 'keyed';
  return {
    key: key ?? 'id',
    task: 'note',
    args: {},
    due: null,
    message: Buffer.alloc(0),
    kind,
  } as unknown as PreparedCall;
}

const anywhere = callWith(null);
const numberOf = (destination: Destination | null) => destination && Number(destination.partition.tag);

test('a call with a key goes where its key leads', () => {
  const routes = routesTo(5);
  for (const key of ['a', 'b', 'c', 'd']) expect(numberOf(routes.pick(callWith(key)))).toBe(partitionOf(key, 5));
});

test('calls of one tick that may go anywhere go to one partition, a full batch to the next', async () => {
  const routes = routesTo(3);
  const first = Array.from({ length: 600 }, () => numberOf(routes.pick(anywhere)));
  expect([0, 1, 2].map((partition) => first.filter((one) => one === partition).length)).toEqual([256, 256, 88]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(numberOf(routes.pick(anywhere))).toBe(0);
  await new Promise((resolve) => setImmediate(resolve));
  expect(numberOf(routes.pick(anywhere))).toBe(1);
});

test('a call that may go anywhere leaves out a partition that could not be reached, and tries each of them once', () => {
  const routes = routesTo(3);
  const first = routes.pick(anywhere);
  const second = routes.pickInstead(anywhere, first, 1)!;
  expect([numberOf(first), numberOf(second)]).toEqual([0, 1]);
  const third = routes.pickInstead(anywhere, second, 2)!;
  expect(numberOf(third)).toBe(2);
  expect(routes.pickInstead(anywhere, third, 3)).toBe(null);
});

test('a partition that could not be reached gets such calls again after a moment', () => {
  vi.useFakeTimers({ toFake: ['performance', 'setImmediate'] });
  try {
    const routes = routesTo(2);
    routes.pickInstead(anywhere, routes.pick(anywhere), 1);
    const turns = (count: number) =>
      new Set(
        Array.from({ length: count }, () => {
          vi.runAllTimers();
          return numberOf(routes.pick(anywhere));
        }),
      );
    expect([...turns(4)]).toEqual([1]);
    vi.advanceTimersByTime(1_100);
    expect([...turns(4)].sort()).toEqual([0, 1]);
  } finally {
    vi.useRealTimers();
  }
});

test('a partition that is slow gets no such calls, unless all of them are', async () => {
  const slow = new Set([1]);
  const routes = routesTo(3, { slow });
  const turns = async (count: number) => {
    const numbers: (number | null)[] = [];
    for (let i = 0; i < count; i++) {
      numbers.push(numberOf(routes.pick(anywhere)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    return numbers;
  };
  expect(await turns(4)).toEqual([0, 2, 0, 2]);
  slow.add(0).add(2);
  expect(await turns(3)).toEqual([0, 1, 2]);
  expect(numberOf(routes.pick(callWith('a')))).toBe(partitionOf('a', 3));
  slow.clear();
  expect((await turns(3)).toSorted()).toEqual([0, 1, 2]);
});

test('a call with a key goes nowhere else: it fails at once', () => {
  const routes = routesTo(3);
  const call = callWith('a');
  expect(routes.pickInstead(call, routes.pick(call), 1)).toBe(null);
});

test('where all partitions share a server, no other is tried', () => {
  const routes = routesTo(3, { isShared: true });
  expect(routes.pickInstead(anywhere, routes.pick(anywhere), 1)).toBe(null);
});
