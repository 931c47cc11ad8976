import { expect, test } from 'vitest';
import type { Delivery } from '../../../../src/worker/delivery.js';
import { DeliveryQueue } from '../../../../src/worker/dispatch/delivery-queue.js';

const of = (token: string) => ({ token }) as Delivery;

function queueOf(...tokens: string[]): DeliveryQueue {
  const queue = new DeliveryQueue();
  for (const token of tokens) queue.push(of(token));
  return queue;
}

const tokensOf = (deliveries: Iterable<Delivery>) => Array.from(deliveries, ({ token }) => token);

function drain(queue: DeliveryQueue): string[] {
  const tokens: string[] = [];
  for (let head = queue.peek(); head; head = queue.peek()) {
    expect(queue.shift()).toBe(head);
    tokens.push(head.token);
  }
  return tokens;
}

test('deliveries from the front stream go before those that were read ahead, each in its order', () => {
  const queue = queueOf('w1-0', 'w2-0', 'f3-0', 'w4-0', 'f5-0');
  expect([queue.length, tokensOf(queue)]).toEqual([5, ['f3-0', 'f5-0', 'w1-0', 'w2-0', 'w4-0']]);
  expect(drain(queue)).toEqual(['f3-0', 'f5-0', 'w1-0', 'w2-0', 'w4-0']);
  expect([queue.length, queue.shift()]).toEqual([0, undefined]);
});

test('a delivery that is put back is at the head of those from its stream', () => {
  const queue = queueOf('w2-0', 'f2-0');
  queue.unshift(of('w1-0'));
  queue.unshift(of('f1-0'));
  expect(drain(queue)).toEqual(['f1-0', 'f2-0', 'w1-0', 'w2-0']);
});

test('some or all can be taken out', () => {
  const queue = queueOf('w1-0', 'f1-0', 'w2-0', 'f2-0');
  queue.removeIf(({ token }) => token.endsWith('1-0'));
  expect(tokensOf(queue.clear())).toEqual(['f2-0', 'w2-0']);
  expect(queue.length).toBe(0);
});

test('deliveries of high priority go before normal ones, and those of low priority behind them', () => {
  const queue = queueOf('b1-0', 'w2-0', 'h3-0', 'f4-0', 'h5-0', 'w6-0');
  expect(queue.length).toBe(6);
  expect(drain(queue)).toEqual(['f4-0', 'h3-0', 'h5-0', 'w2-0', 'w6-0', 'b1-0']);
});

test('while others wait, one in 32 that leave is of low priority', () => {
  const queue = queueOf('b1-0', 'b2-0', ...Array.from({ length: 100 }, (_, i) => `w${i}-0`));
  const order = drain(queue);
  expect([order.indexOf('b1-0'), order.indexOf('b2-0')]).toEqual([31, 63]);
});
