/** Where an execution belongs: the same answer in every producer and worker, whatever its version. */
import { describe, expect, test } from 'vitest';
import { partitionOf, routeOf } from '../../../src/client/routing.js';
import { concurrencyLimit, cooldown, type LimitData, rateLimit } from '../../../src/tasks/policies.js';
import { encodeValue } from '../../../src/wire/codec.js';

function route(limits: readonly LimitData[] | undefined, args: object = {}, key: string | null = 'k'): string | null {
  return routeOf({ task: 'charge', key, limits, args: () => encodeValue(args, 'args') });
}

describe('an execution without limits', () => {
  test('belongs where its key does, and without a key anywhere', () => {
    expect(route(undefined)).toBe('k');
    expect(route([])).toBe('k');
    expect(route([], {}, null)).toBe(null);
  });
});

describe('an execution with limits', () => {
  test('belongs where the value of their one argument does, whatever its key is', () => {
    const limits = [concurrencyLimit('customerId'), rateLimit('customerId', { max: 5, per: '1m' })];
    expect(route(limits, { customerId: 'c 1' })).toBe('charge:s=c%201');
    expect(route(limits, { customerId: 'c 1' }, null)).toBe('charge:s=c%201');
    expect(route(limits, { customerId: 1n })).toBe('charge:i=1');
  });

  test('belongs with those of other tasks that have the same scope and value, whatever the argument is called', () => {
    const crawl = [concurrencyLimit('host', { scope: 'crawl' })];
    const fetch = [concurrencyLimit('server', { scope: 'crawl' })];
    expect(route(crawl, { host: 'h' })).toBe('@crawl:s=h');
    expect(route(fetch, { server: 'h' })).toBe('@crawl:s=h');
  });

  test('belongs with all of its scope or task when the limits do not name one argument', () => {
    expect(route([concurrencyLimit({ max: 3 })])).toBe('charge');
    expect(route([concurrencyLimit({ max: 3, scope: 'bank' })])).toBe('@bank');
    expect(route([concurrencyLimit('a'), concurrencyLimit('b')], { a: 1, b: 2 })).toBe('charge');
    expect(route([concurrencyLimit('a'), rateLimit({ max: 1, per: '1s' })], { a: 1 })).toBe('charge');
  });

  test('belongs with all of its task when the limits have several scopes', () => {
    const limits = [concurrencyLimit('a', { scope: 'x' }), cooldown('a', { window: '1m' })];
    expect(route(limits, { a: 1 })).toBe('charge');
  });

  test('belongs with all of its task when it lacks the argument, or has one that no limit can count by', () => {
    expect(route([concurrencyLimit('a')], {})).toBe('charge');
    expect(route([concurrencyLimit('a')], { a: [1] })).toBe('charge');
    const limits = [concurrencyLimit('a')];
    expect(routeOf({ task: 'charge', key: null, limits, args: () => Buffer.from([0xc1]) })).toBe('charge');
  });
});

describe('a route', () => {
  test('leads to the CRC-32 of its bytes modulo the number of partitions: part of the wire, never change it', () => {
    const places = (route: string) => [1, 2, 4, 8, 256].map((partitions) => partitionOf(route, partitions));
    expect(places('123456789')).toEqual([0, 0, 2, 6, 0x26]); // the check value of the CRC is cbf43926
    expect(places('charge-1')).toEqual([0, 1, 3, 7, 71]);
    expect(places('käse')).toEqual([0, 1, 3, 7, 247]);
  });

  test('leads to each of the partitions about as often', () => {
    const counts = new Array<number>(8).fill(0);
    for (let i = 0; i < 8_000; i++) counts[partitionOf(`order-${i}`, 8)]! += 1;
    expect(Math.min(...counts)).toBeGreaterThan(850);
    expect(Math.max(...counts)).toBeLessThan(1_150);
  });
});
