/**
 * Runs a sequence of operations on an empty database, then brings the docket to rest as workers would, and checks what is left.
 */
import type { Redis } from 'ioredis';
import { deliveries, schema } from './built.js';
import * as claiming from './claiming.js';
import type { Part } from './model.js';
import * as moving from './moving.js';
import { type Operation, operate } from './operations.js';
import { resume } from './producing.js';
import * as settling from './settling.js';
import { findExpired, moveDue, redeliver, stall } from './sweeping.js';
import { FOCUSES, TASKS } from './tasks.js';
import { type Hand, type Worker, World } from './world.js';

export interface Sequence {
  /** Index in `FOCUSES`. */
  readonly focus: number;
  readonly operations: readonly Operation[];
}

/** So many rounds of work suffice for whatever a sequence can leave: each brings everything a step further. */
const MOST_ROUNDS = 100;
const REST = '--- bring it to rest';

/** Runs one sequence. Rejects with what differs from the model, and what was called before. */
export async function runSequence(redis: Redis, db: number, { focus, operations }: Sequence): Promise<void> {
  await redis.flushdb();
  const world = new World(redis, db, FOCUSES[focus]!);
  for (const keys of world.keys) {
    await deliveries.ensureGroups(redis, keys);
    await redis.hset(keys.failureBounds, schema.FAILURE_BOUNDS.ttl, settling.BOUNDS.ttlMs);
    await redis.pexpire(keys.failureBounds, settling.BOUNDS.ttlMs);
  }
  world.advance(0);
  try {
    await world.look();
    for (const one of operations) await operate(world, one);
    world.trace.push(REST);
    await bringToRest(world);
    world.checkQuiescence();
  } catch (error) {
    const numbered = world.trace.map((line, i) => `${String(i + 1).padStart(4)}  ${line}`);
    const atRest = world.trace.indexOf(REST);
    const isLong = atRest >= 0 && numbered.length - atRest > 40; // what comes in between goes on in the same way
    const calls = (isLong ? [...numbered.slice(0, atRest + 20), '...', ...numbered.slice(-10)] : numbered).join('\n');
    throw new Error(`${(error as Error).message}\n\ncalls before that:\n${calls}\n`, { cause: error });
  }
}

/** Ends what the sequence has left: resumes, redelivers what dead workers had, and runs the rest until nothing is left. */
async function bringToRest(world: World): Promise<void> {
  for (const worker of world.workers) {
    await world.make(stall(world, worker));
    worker.hands = [];
  }
  for (const { part, pausedTasks } of world.models) {
    for (const task of pausedTasks) await world.make(resume(world, part, task));
  }
  for (let round = 0; round < MOST_ROUNDS; round++) {
    if (world.models.every(({ alive }) => alive.length === 0)) return;
    for (const part of [0, 1] as const) await work(world, part);
    world.advance(untilNext(world));
  }
  const left = world.models
    .flatMap(({ alive }) => alive)
    .map(({ n, part, place }) => `${n} in ${part}: ${JSON.stringify(place)}`);
  throw new Error(`after ${MOST_ROUNDS} rounds of work, executions are left: ${left.join(', ')}`);
}

/** Returns the time until something is due. */
function untilNext({ models, nowMs }: World): number {
  const due = models.flatMap(({ alive }) =>
    alive.flatMap(({ place }) => (place.kind === 'scheduled' ? [place.atMs - nowMs] : [])),
  );
  return due.length > 0 ? Math.max(0, Math.min(...due)) : 0;
}

/** Takes everything in a partition a step further. */
async function work(world: World, part: Part): Promise<void> {
  const worker = world.workers[0]!;
  const model = world.model(part);
  if (model.alive.some(({ isExpired }) => isExpired)) {
    await world.make(findExpired(world, part, 0));
    await world.make(redeliver(world, part, 0));
  }
  const isDue = () => model.alive.some(({ place }) => place.kind === 'scheduled' && place.atMs <= world.nowMs);
  while (isDue() || model.wakes.size > 0) await world.make(moveDue(world, part));
  if (!model.alive.some(({ place }) => place.kind === 'ready')) return;
  await world.make(claiming.read(world, part, worker, { count: 100, claims: false }));
  for (const hand of [...worker.hands]) await finish(world, worker, hand);
}

/** Claims an execution, and completes it; or moves it to where it belongs. */
async function finish(world: World, worker: Worker, hand: Hand): Promise<void> {
  const { part, delivery } = hand;
  if (world.model(part).copies.get(hand.n)?.home !== part) return await move(world, worker, hand);
  if (TASKS[delivery.envelope.task]!.length > 0) await world.make(claiming.admit(world, part, worker, hand));
  else if (delivery.record !== null) await world.make(claiming.claim(world, part, worker, [hand]));
  const items = worker.hands
    .filter(({ n }) => n === hand.n)
    .map((one) => ({ hand: one, outcome: 'completed' as const }));
  if (items.length > 0) await world.make(settling.settle(world, part, worker, items));
}

async function move(world: World, worker: Worker, hand: Hand): Promise<void> {
  const { part } = hand;
  await world.make(moving.depart(world, part, worker, hand));
  if (!hand.departing) {
    worker.hands = worker.hands.filter((one) => one !== hand);
    return;
  }
  await world.make(moving.arrive(world, part, worker, { hand, departing: hand.departing }));
  const { read, copy } = hand.departing;
  const there = world.model(part === 0 ? 1 : 0);
  const arrival = there.arrivals.get(read.move);
  if (arrival === 'placed') {
    await world.make(moving.removeDeparted(world, part, worker, hand));
    if (!worker.hands.includes(hand)) return;
    await world.make(moving.cancelArrived(world, part, worker, { hand, departing: hand.departing }));
  }
  const isSame = there.holder(copy.key)?.generation === copy.generation;
  const isLeaving = arrival === undefined && (isSame || world.nowMs < copy.replacingUntilMs);
  await world.make(settling.settle(world, part, worker, [{ hand, outcome: isLeaving ? 'put off' : 'cancelled' }]));
}
