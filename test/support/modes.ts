/** The two ways a worker runs tasks: in its own thread, for tests and embedding, and on threads of their own. */

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe } from 'vitest';
import { startRedis, type TestServer } from './servers.js';

/**
 * Runs a suite with `threads: 0` on the embedded server and with two threads on a real Redis (on the embedded one where
 * there is none): each way of running tasks and each server once, at half the time of all four pairs.
 */
export function describeEachMode(name: string, suite: (url: () => string, threads: number) => void): void {
  describe(`${name} (threads: 0, embedded)`, () => {
    const url = `memory://test-${randomUUID()}`;
    suite(() => url, 0);
  });
  describeOnAnyServer(`${name} (threads: 2)`, (url) => suite(url, 2));
}

/** Runs a suite on a real Redis, or on the embedded one where there is none: for what takes long and is alike on both. */
export function describeOnAnyServer(name: string, suite: (url: () => string) => void): void {
  describe(name, () => {
    let server: TestServer;
    beforeAll(async () => {
      server = await startRedis();
    });
    afterAll(() => server.stop());
    suite(() => server.url);
  });
}
