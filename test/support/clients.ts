/** The connections a real server has, as CLIENT LIST shows them. */

import type { Redis } from 'ioredis';
import { waitFor } from './wait.js';

/** One line for each connection. */
export async function clientList(redis: Redis): Promise<string> {
  return String(await redis.call('CLIENT', 'LIST'));
}

/** Cuts connections: those that are subscribed to something, or all others but this one. */
export async function killClients(redis: Redis, type: 'pubsub' | 'normal'): Promise<void> {
  await redis.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes');
}

/** Numbers of channels that connections are subscribed to, of those that are to any. */
export async function subscriptions(redis: Redis): Promise<number[]> {
  const counts = [...(await clientList(redis)).matchAll(/ sub=([1-9]\d*)/g)];
  return counts.map(([, count]) => Number(count));
}

/**
 * Cuts the connections of producers while the server owes them an answer: it holds up scripts until the first one has
 * come in.
 */
export async function loseAnswers(redis: Redis, ask: () => unknown): Promise<void> {
  await redis.call('CLIENT', 'PAUSE', '60000', 'WRITE');
  ask();
  await waitFor(async () => /name=docket:producer\S* .*flags=b/.test(await clientList(redis)));
  await killClients(redis, 'normal');
  await redis.call('CLIENT', 'UNPAUSE');
}
