/** Names the server that a connection leads to, and says what helps when there is none. */
import type { Socket } from 'node:net';
import type { Redis } from 'ioredis';
import { addressText } from '../redis/master-replies.js';
import { parseRedisUrl } from '../redis/url.js';

/** Returns the address of the node that a search has found; '' where the URL itself has the address. */
export function nodeOf(redis: Redis, url: string): string {
  const { kind } = parseRedisUrl(url);
  const { remoteAddress, remotePort } = redis.stream as Partial<Socket>;
  if ((kind !== 'cluster' && kind !== 'sentinel') || !remoteAddress) return '';
  return addressText({ host: remoteAddress, port: remotePort! });
}

/** Returns what to do about a server that does not answer. */
export function unreachedAdvice(url: string): string {
  const target = parseRedisUrl(url);
  switch (target.kind) {
    case 'sentinel':
      return `look at that master: the sentinels choose another one when it is down for their down-after-milliseconds and enough of them agree (SENTINEL CKQUORUM ${target.master} tells)`;
    case 'cluster':
      return 'look at that master: its replica, if it has one, takes its place after cluster-node-timeout (redis-cli --cluster check with the address of a node tells)';
    default:
      return 'make sure that Redis runs there and that --url (DOCKET_URL) has the right address, user and password';
  }
}
