/**
 * One docket of two partitions on a real server, with what the model says of it, and clients that hold back what they know: workers
 * with entries that they read long ago, sweepers with leases that they found expired, callers that send a call again.
 */
import assert from 'node:assert/strict';
import type { Redis } from 'ioredis';
import type { Partition } from '../../src/client/partition.js';
import type { Token } from '../../src/redis/delivery-store.js';
import type { Keys } from '../../src/redis/keys.js';
import type { Departing } from '../../src/redis/move-store.js';
import type { Delivery } from '../../src/worker/delivery.js';
import { keysModule } from './built.js';
import { check, checkQuiescence } from './check.js';
import { type Copy, type Part, PartitionModel } from './model.js';
import { type Observed, observe } from './observe.js';
import type { Focus } from './tasks.js';

const TAGS = ['', 'p'] as const;

/** An entry in the hands of a worker, as far as the worker knows. */
export interface Hand {
  readonly delivery: Delivery;
  readonly n: number;
  readonly part: Part;
  isClaimed: boolean;
  /** What it has read of an execution that it moves, and what the model said then. */
  departing?: { readonly read: Departing; readonly copy: Copy; readonly untilMs: number };
}

export interface Worker {
  readonly name: string;
  hands: Hand[];
}

/** A call of a client. It may be sent again later, so it says what should happen by how things are then. */
export interface Call {
  /** For people: what is called, about what. */
  readonly name: string;
  readonly send: () => Promise<void>;
}

/** Where a clear has drawn its line. */
export interface Watermark {
  readonly part: Part;
  readonly generation: string;
  readonly lastIds: string;
  /** Whatever was placed before this is older. */
  readonly placedAs: number;
}

export class World {
  readonly models: readonly [PartitionModel, PartitionModel] = [new PartitionModel(0), new PartitionModel(1)];
  readonly keys: readonly [Keys, Keys];
  readonly workers: readonly Worker[] = [0, 1].map((i) => ({ name: `w${i}`, hands: [] }));
  readonly found: Token[][] = [[], [], [], []];
  readonly watermarks: Watermark[] = [];
  readonly sent: Call[] = [];
  readonly trace: string[] = [];
  /** The version of the strikes that producers go by, in each partition; the latest one; and what is struck. */
  readonly strikes: [string, string] = ['', ''];
  readonly versions: [string, string] = ['', ''];
  readonly struck: [string | null, string | null] = [null, null];
  /** When attempts were admitted under the rate of each partition, by execution and attempt. */
  readonly starts: readonly [Map<string, number>, Map<string, number>] = [new Map(), new Map()];
  observed: readonly Observed[] = [];
  nowMs = Date.now() + 60_000;
  placements = 0;
  executions = 0;

  constructor(
    readonly redis: Redis,
    db: number,
    readonly focus: Focus,
  ) {
    this.keys = [keysModule.keysOf('model', { db }), keysModule.keysOf('model', { db, tag: TAGS[1] })];
  }

  model(part: Part): PartitionModel {
    return this.models[part];
  }

  tag(part: Part): string {
    return TAGS[part];
  }

  /** Returns a partition as the code of a client sees it. */
  readonly partitionAt = (tag: string): Partition => {
    const keys = this.keys[tag === '' ? 0 : 1];
    return {
      tag,
      settings: { keys },
      run: (use: (redis: Redis, keys: Keys) => unknown) => use(this.redis, keys),
    } as unknown as Partition;
  };

  /** Makes a call, and compares the docket with the model. */
  async make(call: Call, isResent = false): Promise<void> {
    this.trace.push(isResent ? `again: ${call.name}` : call.name);
    this.nowMs += 1; // as `look` and `advance` have told the server before
    await call.send();
    if (!isResent) this.sent.push(call);
    await this.look();
  }

  /** Compares the docket with the model. The same round trip sets the server's clock for the next call. */
  async look(): Promise<void> {
    const prefixes = this.keys.map(({ prefix }) => prefix);
    this.observed = await observe(this.redis, prefixes, this.nowMs + 1);
    for (const model of this.models) check(model, this.observed[model.part]!);
  }

  /** Moves the server's clock. Commands are executed in the order in which they are sent. */
  advance(ms: number): void {
    this.nowMs += ms;
    this.redis.set('clock', `${this.nowMs + 1}000`).catch(() => undefined);
  }

  checkQuiescence(): void {
    for (const model of this.models) checkQuiescence(model, this.observed[model.part]!);
  }
}

/** Fails when a reply is not the one that the model expects. */
export function expectReply(actual: unknown, expected: unknown, about: string): void {
  assert.deepEqual(actual, expected, `reply to ${about}`);
}
