/** The watch over a link, with a client that does what the test says, on a clock that the test moves. */
import { EventEmitter } from 'node:events';
import type { Command, Redis } from 'ioredis';
import { expect, test, vi } from 'vitest';
import { type Traffic, watchLink } from '../../../src/redis/link-watch.js';
import { stopTime } from '../../support/fake-time.js';

const PATIENCE_MS = 6_000;

stopTime();

/** A client that has sent a command and waits for the answer. */
class Client extends EventEmitter {
  readonly traffic: Traffic = { unanswered: new Set([{} as Command]), answered: 0 };
  readonly stream = { bytesRead: 0, _handle: { writeQueueSize: 0 } };
  readonly status = 'ready';
  cuts = 0;

  constructor() {
    super();
    watchLink(this as unknown as Redis, { traffic: this.traffic, patienceMs: PATIENCE_MS, alwaysAsks: false });
    this.emit('connect');
  }

  disconnect(): void {
    this.cuts += 1;
  }
}

/** Lets time pass, and what was put off to the end of the turn happen. */
async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  await new Promise(setImmediate);
}

test('a link that owes an answer for as long as the patience is cut', async () => {
  const client = new Client();
  await pass(PATIENCE_MS - 1);
  expect(client.cuts).toBe(0);
  await pass(2);
  expect(client.cuts).toBe(1);
});

test('any part of an answer is a sign of life', async () => {
  const client = new Client();
  for (let i = 0; i < 10; i++) {
    await pass(PATIENCE_MS - 1_000);
    client.stream.bytesRead += 1;
  }
  expect(client.cuts).toBe(0);
});

test('any part of a command that leaves is a sign of life, and what is stuck is none', async () => {
  const client = new Client();
  client.stream._handle.writeQueueSize = 64_000_000;
  for (let i = 0; i < 10; i++) {
    await pass(PATIENCE_MS - 1_000);
    client.stream._handle.writeQueueSize -= 1_000_000;
  }
  expect(client.cuts).toBe(0);
  await pass(PATIENCE_MS + PATIENCE_MS / 3);
  expect(client.cuts).toBe(1);
});

test('time in which the process stood still says nothing about the server, which may have stood still, too', async () => {
  const client = new Client();
  await pass(PATIENCE_MS / 3);
  const now = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => now() + 60_000);
  await pass(PATIENCE_MS / 3);
  expect(client.cuts).toBe(0);
  client.stream.bytesRead += 1;
  await pass(PATIENCE_MS / 3);
  expect(client.cuts).toBe(0);
});
