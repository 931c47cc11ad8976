/**
 * Runs suites on the servers, and in the modes, that they are about.
 *
 * `npm test` runs each suite in one variant, on a real Redis; `npm run test:all` runs it in all of them. Where
 * `redis-server` is not installed, suites run on the embedded server, and those that need a real one are left out. Under CI
 * these fail instead.
 */

import { afterAll, beforeAll, describe, test } from 'vitest';
import { NO_REDIS, REDIS_BINARY } from './redis-binary.js';
import {
  type RestartableRedis,
  sharedRedis,
  startEmbedded,
  startRestartableRedis,
  type TestServer,
} from './servers.js';
import { sharedCluster } from './shared-cluster.js';
import { TARGET } from './target.js';

/** Whether this run covers all variants of each suite. */
export const isEveryVariant = process.env.DOCKET_TEST_VARIANTS === 'all';

type Kind = TestServer['kind'];

const KINDS: readonly Kind[] = isEveryVariant ? ['redis', 'embedded'] : [REDIS_BINARY === null ? 'embedded' : 'redis'];

/** Runs a suite on a real Redis; with all variants on the embedded server, too. `url()` is known once the suite runs. */
export function describeEachServer(name: string, suite: (url: () => string) => void): void {
  for (const kind of KINDS) describeOn(kind, name, suite);
}

/** Runs a suite on a real Redis, or on the embedded server where there is none: for what is alike on both. */
export function describeOnAnyServer(name: string, suite: (url: () => string) => void): void {
  describeOn(REDIS_BINARY === null ? 'embedded' : 'redis', name, suite);
}

/** Runs a suite on the embedded server. */
export function describeOnEmbedded(name: string, suite: (url: () => string) => void): void {
  describeOn('embedded', name, suite);
}

/** Runs a suite on a real Redis only: for several processes, and for what the embedded server does not have. */
export function describeOnRedis(name: string, suite: (url: () => string) => void): void {
  describeOn('redis', name, suite);
}

/** Runs a suite on a Redis of its own, which it may end, start again, configure and pause. */
export function describeOnOwnRedis(name: string, suite: (redis: () => RestartableRedis) => void): void {
  if (REDIS_BINARY === null) return leaveOut(name, () => suite(() => undefined as never));
  if (TARGET !== 'plain')
    return void describe.skip(`${name} [left out: it is about one server]`, () => suite(() => undefined as never));
  describe(name, () => {
    let redis: RestartableRedis;
    beforeAll(async () => {
      redis = await startRestartableRedis(true);
    });
    afterAll(() => redis.stop());
    suite(() => redis);
  });
}

/** Runs a suite with a worker thread; with all variants also with `threads: 0`, and each of the two on each server. */
export function describeEachMode(name: string, suite: (url: () => string, threads: number) => void): void {
  for (const threads of isEveryVariant ? [1, 0] : [1]) describeWith(name, threads, suite);
}

/** Like `describeEachMode`, but usually with `threads: 0`: for what the coordinator and the scripts do alone. */
export function describeWithoutThreads(name: string, suite: (url: () => string, threads: number) => void): void {
  for (const threads of isEveryVariant ? [1, 0] : [0]) describeWith(name, threads, suite);
}

/**
 * Runs a suite in both modes, on threads and with `threads: 0`: for what differs between them. With all variants each mode
 * runs on each server.
 */
export function describeBothModes(name: string, suite: (url: () => string, threads: number) => void): void {
  for (const threads of [1, 0]) describeWith(name, threads, suite);
}

function describeWith(name: string, threads: number, suite: (url: () => string, threads: number) => void): void {
  describeEachServer(threads === 0 ? labelled(name, 'threads: 0') : name, (url) => suite(url, threads));
}

/** What is not on the one real Redis says so in its name. */
function describeOn(kind: Kind, name: string, suite: (url: () => string) => void): void {
  if (kind === 'redis' && REDIS_BINARY === null) return leaveOut(name, () => suite(() => ''));
  describe(kind === 'redis' ? name : labelled(name, 'embedded'), () => {
    let server: TestServer;
    beforeAll(async () => {
      server = kind === 'redis' ? await sharedTarget() : startEmbedded();
    }, 60_000);
    suite(() => server.url);
  });
}

async function sharedTarget(): Promise<TestServer> {
  return TARGET === 'cluster' ? await sharedCluster() : await sharedRedis();
}

/** A name with a label, put before the mark at its end if there is one. */
export function labelled(name: string, label: string): string {
  return name.replace(/([:,]?)$/, ` (${label})$1`);
}

function leaveOut(name: string, suite: () => void): void {
  if (!process.env.CI) describe.skip(`${name} [left out: ${NO_REDIS}]`, suite);
  else {
    test(name, () => {
      throw new Error(`${NO_REDIS}: this suite needs it, and under CI no suite is left out`);
    });
  }
}
