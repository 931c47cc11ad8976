/**
 * The scripts on the way of an execution, on a server, with one item and with a whole batch. How many commands a script
 * executes for an item does not depend on the machine.
 */
import type { Redis } from 'ioredis';
import {
  acknowledge,
  type Claim,
  claim,
  ensureGroups,
  type Settlement,
  settle,
  type Token,
} from '../../src/redis/delivery-store.js';
import { keysOf } from '../../src/redis/keys.js';
import { enqueue, type Placement, schedule } from '../../src/redis/producer-store.js';
import { readEntries } from '../../src/redis/stream-reader.js';
import { encoderFor } from '../../src/wire/codec.js';
import { encodeEnvelope } from '../../src/wire/envelope.js';
import { ARGUMENTS, type Micro } from './micro.js';

const KEYS = keysOf('micro');
const SIZES = [1, 256];
const WORKER = 'a-worker';
const TTL_MS = 15 * 60_000;

/** Returns the micro benches; each starts with an empty docket. */
export function scripts(redis: Redis): Micro[] {
  return SIZES.flatMap((items) => {
    const names = Array.from({ length: items }, (_, i) => `key-${i}`);
    const messages = names.map((name) => ({ message: messageOf(name, 0) }));
    const placements = names.map(placementOf);
    let tokens: Token[] = [];
    let claims: Claim[] = [];
    let settlements: Settlement[] = [];

    const empty = async () => {
      await redis.flushall();
      await ensureGroups(redis, KEYS);
    };
    const read = async () => {
      const entries = await readEntries(redis, KEYS, { consumer: WORKER, count: items, blockMs: 1 });
      tokens = entries.map(({ token }) => token);
      claims = entries.map(({ record, token }) => ({ key: record ?? '', token, attempt: 1 }));
      settlements = claims.map(completed);
    };
    const queuedLean = async () => {
      await empty();
      await enqueue(redis, KEYS, messages, '');
      await read();
    };
    const queuedTracked = async () => {
      await empty();
      await schedule(redis, KEYS, placements, '');
      await read();
    };
    const running = async () => {
      await queuedTracked();
      await claim(redis, KEYS, WORKER, claims);
    };
    const script = (name: string, prepare: () => Promise<void>, run: () => Promise<unknown>): Micro => {
      return { name: `script ${name}, ${items === 1 ? '1 item' : `${items} items`}`, items, prepare, run };
    };
    return [
      script('enqueue', empty, () => enqueue(redis, KEYS, messages, '')),
      script('schedule', empty, () => schedule(redis, KEYS, placements, '')),
      script('acknowledge', queuedLean, () => acknowledge(redis, KEYS, tokens)),
      script('claim', queuedTracked, () => claim(redis, KEYS, WORKER, claims)),
      script('settle', running, () => settle(redis, KEYS, settlements)),
    ];
  });
}

function placementOf(key: string): Placement {
  return { kind: 'unique', key, task: 'send-mail', due: null, message: messageOf(key, TTL_MS) };
}

function messageOf(id: string, ttlMs: number): Buffer {
  return encodeEnvelope(encoderFor(ARGUMENTS, 'args'), 'send-mail', ttlMs, id, ARGUMENTS);
}

function completed({ key, token }: Claim): Settlement {
  const nothing = { result: null, error: null, errorLine: '', endsChainOf: '', message: null };
  return { kind: 'ended', token, record: key, ttlMs: TTL_MS, state: 'completed', ...nothing };
}
