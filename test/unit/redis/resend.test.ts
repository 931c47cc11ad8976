/** Which refused commands are sent again, and when the link is replaced. */
import { EventEmitter } from 'node:events';
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type ResendOptions, resendRefused } from '../../../src/redis/resend.js';

const READONLY = "READONLY You can't write against a read only replica.";
const MOVED = 'MOVED 7 10.0.0.2:6380';
const CLUSTERDOWN = 'CLUSTERDOWN Hash slot not served';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval', 'setTimeout'] }));
afterEach(() => void vi.useRealTimers());

/** A connection without a server. Commands are sent by hand, and refused by hand. */
class FakeRedis extends EventEmitter {
  status = 'ready';
  condition: { handshake?: boolean } = {};
  commandQueue: unknown[] = [];
  options = { autoResendUnfulfilledCommands: true };
  stream = { remoteAddress: '10.0.0.1' };
  readonly sent: string[] = [];
  /** The errors that were passed on to ioredis. */
  readonly passedOn: string[] = [];
  links = 1;

  handleReconnection(error: Error, _item?: unknown): void {
    this.passedOn.push(error.message);
  }

  sendCommand({ name }: { name: string }): void {
    this.sent.push(name);
  }

  disconnect(): void {
    this.status = 'reconnecting';
    this.links += 1;
    this.emit('close');
  }

  connect(): void {
    this.status = 'ready';
    this.emit('ready');
  }

  end(): void {
    this.status = 'end';
    this.emit('end');
  }
}

function connected(options: Partial<ResendOptions> = {}, { keepsCommands = true } = {}) {
  const redis = new FakeRedis();
  redis.options.autoResendUnfulfilledCommands = keepsCommands;
  const learn = vi.fn();
  resendRefused(redis as unknown as Redis, { resends: true, isSearched: true, keptForMs: 200, learn, ...options });
  const refuse = (text: string, command: { name?: string; pipelineIndex?: number; inTransaction?: boolean } = {}) => {
    const reject = vi.fn();
    const refused = { name: 'evalsha', ...command, reject };
    const again = (next = text) => redis.handleReconnection(new Error(next), { command: refused });
    again();
    return { reject, again };
  };
  return { redis, learn, refuse };
}

test.each(['ASK 7 h:1', 'TRYAGAIN x', CLUSTERDOWN, 'LOADING x', MOVED, READONLY, 'MASTERDOWN x'])(
  'a command that was refused with %s is sent again',
  (text) => {
    const { redis, refuse } = connected();
    refuse(text);
    vi.advanceTimersByTime(20);
    if (redis.status !== 'ready') redis.connect();
    vi.advanceTimersByTime(25);
    expect(redis.sent).toEqual([]); // not at once
    vi.advanceTimersByTime(200);
    expect(redis.sent).toEqual(['evalsha']);
    expect(redis.passedOn).toEqual([]);
  },
);

test('other errors are passed on', () => {
  const { redis, refuse } = connected();
  refuse('OOM command not allowed');
  vi.advanceTimersByTime(3_000);
  expect([redis.passedOn.length, redis.sent.length, redis.links]).toEqual([1, 0, 1]);
});

test('a command that is refused for two seconds rejects with the last refusal', () => {
  const { redis, refuse } = connected();
  const { reject, again } = refuse('TRYAGAIN first');
  for (let i = 0; i < 19; i++) {
    const before = redis.sent.length;
    vi.advanceTimersByTime(125); // the longest pause
    if (redis.sent.length > before) again('TRYAGAIN last');
  }
  expect(redis.sent.length).toBeGreaterThan(5);
  expect(reject).toHaveBeenCalledExactlyOnceWith(new Error('TRYAGAIN last'));
});

test.each([
  ['a PING, which asks the link and not the master', { name: 'ping' }],
  ['a part of a pipeline', { pipelineIndex: 0 }],
  ['a part of a transaction', { inTransaction: true }],
])('%s is not sent again', (_, command) => {
  const { redis, refuse } = connected();
  refuse('LOADING x', command);
  vi.advanceTimersByTime(3_000);
  expect([redis.passedOn.length, redis.sent.length]).toEqual([1, 0]);
});

test('the handshake is not sent again: the next attempt to connect has its own', () => {
  const { redis, refuse } = connected();
  redis.condition.handshake = true;
  refuse('LOADING x');
  expect(redis.passedOn).toEqual(['LOADING x']);
});

test('a blocking read is not sent again, but its link is replaced', () => {
  const { redis, refuse } = connected({ resends: false });
  refuse('UNBLOCKED force unblock, instance state changed (master -> replica?)');
  vi.advanceTimersByTime(500);
  expect([redis.passedOn.length, redis.sent.length, redis.links]).toEqual([1, 0, 2]);
});

test('the node that MOVED names is learnt; without a host it is the same host', () => {
  const { learn, refuse } = connected();
  refuse(MOVED);
  refuse('MOVED 7 :6381');
  refuse('MOVED 7 ?:6382');
  expect(learn.mock.calls.flat()).toEqual([
    { host: '10.0.0.2', port: 6380 },
    { host: '10.0.0.1', port: 6381 },
    { host: '10.0.0.1', port: 6382 },
  ]);
});

test('MOVED on a link to the address of a URL is passed on: a new link would lead to the same node', () => {
  const { redis, learn, refuse } = connected({ isSearched: false });
  refuse(MOVED);
  vi.advanceTimersByTime(3_000);
  expect([redis.passedOn.length, redis.links, learn.mock.calls.length]).toEqual([1, 1, 0]);
});

test('the link is replaced once, however many commands are refused, and is kept for a while', () => {
  const { redis, refuse } = connected({ keptForMs: 2_000 });
  for (let i = 0; i < 5; i++) refuse(READONLY);
  vi.advanceTimersByTime(20);
  redis.connect();
  for (let i = 0; i < 5; i++) refuse(READONLY);
  vi.advanceTimersByTime(1_000);
  expect(redis.links).toBe(2);
  vi.advanceTimersByTime(1_000);
  refuse(READONLY);
  vi.advanceTimersByTime(20);
  expect(redis.links).toBe(3);
});

test('where the master is not searched for, a refusal by the new link is passed on: it leads to the same server', () => {
  const { redis, refuse } = connected({ isSearched: false, keptForMs: 2_000 });
  refuse(READONLY);
  refuse(READONLY); // by the link that is about to be replaced
  vi.advanceTimersByTime(20);
  redis.connect();
  expect(redis.passedOn).toEqual([]);
  refuse(READONLY);
  expect(redis.passedOn).toEqual([READONLY]);
});

test('where the master is searched for, a command that the new link refuses waits as well', () => {
  const { redis, refuse } = connected();
  refuse(READONLY);
  vi.advanceTimersByTime(20);
  redis.connect();
  refuse(READONLY); // the new one is not known yet
  expect(redis.passedOn).toEqual([]);
  vi.advanceTimersByTime(200);
  expect(redis.sent).toEqual(['evalsha', 'evalsha']);
});

test('CLUSTERDOWN replaces the link once it has gone on for a second on this link', () => {
  const { redis, refuse } = connected();
  refuse(CLUSTERDOWN);
  vi.advanceTimersByTime(900);
  refuse(CLUSTERDOWN);
  vi.advanceTimersByTime(50);
  expect(redis.links).toBe(1);
  redis.connect(); // another link
  refuse(CLUSTERDOWN);
  vi.advanceTimersByTime(900);
  refuse(CLUSTERDOWN);
  vi.advanceTimersByTime(20);
  expect(redis.links).toBe(1);
  vi.advanceTimersByTime(100);
  refuse(CLUSTERDOWN);
  vi.advanceTimersByTime(20);
  expect(redis.links).toBe(2);
});

test('CLUSTERDOWN from the address of a URL never replaces the link', () => {
  const { redis, refuse } = connected({ isSearched: false });
  refuse(CLUSTERDOWN);
  vi.advanceTimersByTime(1_900);
  refuse(CLUSTERDOWN);
  vi.advanceTimersByTime(20);
  expect(redis.links).toBe(1);
});

test('a client that would reject what is in flight waits for the answers first, for a tenth of a second', () => {
  const { redis, refuse } = connected({}, { keepsCommands: false });
  redis.commandQueue = ['in flight'];
  refuse(READONLY);
  vi.advanceTimersByTime(80);
  expect(redis.links).toBe(1);
  vi.advanceTimersByTime(40);
  expect(redis.links).toBe(2);
});

test('a client that keeps what is in flight, or has nothing, does not wait', () => {
  for (const keepsCommands of [true, false]) {
    const { redis, refuse } = connected({}, { keepsCommands });
    if (keepsCommands) redis.commandQueue = ['in flight'];
    refuse(READONLY);
    vi.advanceTimersByTime(20);
    expect(redis.links).toBe(2);
  }
});

test('commands that wait are kept while the link is down, and sent on the next one', () => {
  const { redis, refuse } = connected();
  const { reject } = refuse(READONLY);
  vi.advanceTimersByTime(500);
  expect([redis.status, redis.sent]).toEqual(['reconnecting', []]);
  redis.connect();
  vi.advanceTimersByTime(30);
  expect(redis.sent).toEqual(['evalsha']);
  expect(reject).not.toHaveBeenCalled();
});

test('a subscription that the cluster took back replaces the link, later if it is new', () => {
  const { redis } = connected();
  redis.emit('moved');
  vi.advanceTimersByTime(20);
  expect(redis.links).toBe(2);
  redis.connect();
  redis.emit('moved'); // the new node does not have the slot either
  vi.advanceTimersByTime(20);
  expect(redis.links).toBe(2);
  vi.advanceTimersByTime(220);
  expect(redis.links).toBe(3);
});

test('a connection that has ended sends nothing more, and keeps no timer', () => {
  const { redis, refuse } = connected();
  refuse('LOADING x');
  redis.end();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(3_000);
  expect(redis.sent).toEqual([]);
});
