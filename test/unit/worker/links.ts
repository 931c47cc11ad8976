/** The link of a worker, on a fake connection that has only a status. */
import { EventEmitter } from 'node:events';
import type { Redis } from 'ioredis';
import { CommandLink } from '../../../src/worker/command-link.js';

/** Makes a link on this connection, which is ready until its status is changed. */
export function linkOf(connection: FakeConnection = fakeConnection(), leaseMs = 10_000): CommandLink {
  return new CommandLink(connection as unknown as Redis, leaseMs);
}

export interface FakeConnection extends EventEmitter {
  status: string;
}

export function fakeConnection(): FakeConnection {
  return Object.assign(new EventEmitter(), { status: 'ready' });
}
