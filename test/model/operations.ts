/**
 * Turns random numbers into calls. An operation is a name and three small numbers, which choose among what there is at
 * that moment, so every sequence of operations makes sense, and a shorter one does, too.
 */
import fc from 'fast-check';
import { schema } from './built.js';
import * as claiming from './claiming.js';
import type { Copy, Part } from './model.js';
import * as moving from './moving.js';
import type { Placing } from './producing.js';
import * as producing from './producing.js';
import * as settling from './settling.js';
import * as sweeping from './sweeping.js';
import { FOCUSES, TASKS } from './tasks.js';
import type { Call, Hand, Worker, World } from './world.js';

export interface Operation {
  readonly kind: OperationKind;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

type Choose = (world: World, numbers: Omit<Operation, 'kind'>) => Call | null;

const DELAYS_MS = [0, 0, 0, 5_000, 12_000];
const PRIORITIES = ['normal', 'normal', 'high', 'low'] as const;
const PASSES_MS = [1_000, 5_000, 12_000, 400_000, 3_700_000];
const MOVED: readonly settling.Outcome[] = [
  'retry',
  'retry later',
  'requeue',
  'interrupt',
  'put off',
  'reroute',
  'redeliver',
  'charge',
  'pause',
];
const ENDS: readonly settling.Outcome[] = ['completed', 'result', 'failed', 'cancelled'];
const UNCLAIMED: readonly settling.Outcome[] = ['requeue', 'put off', 'reroute', 'pause', 'cancelled', 'failed'];

/** The kinds of operations, and how often each is chosen. */
const OPERATIONS = {
  add: [6, (world, numbers) => adding(world, numbers, ['keyed'])],
  addOther: [4, (world, numbers) => adding(world, numbers, ['unique', 'lean', 'once', 'lean'])],
  replace: [5, (world, { a, b, c }) => producing.replace(world, placing(world, { kind: 'keyed', a, b, c }))],
  cancel: [5, (world, { a, b }) => withOne(latest(world), a, (copy) => producing.cancel(world, copy, b % 2 === 1))],
  read: [
    9,
    (world, { a, b, c }) =>
      claiming.read(world, partOf(world, c), workerAt(world, a), { count: 1 + (b % 4), claims: b % 5 === 4 }),
  ],
  claim: [9, (world, { a, b, c }) => claimOne(world, workerAt(world, a), { b, c })],
  settle: [7, (world, { a, b, c }) => settleSome(world, workerAt(world, a), { b, c, outcomes: [...ENDS, ...MOVED] })],
  goOn: [6, (world, { a, b, c }) => settleSome(world, workerAt(world, a), { b, c, outcomes: [...MOVED, ...ENDS] })],
  giveBack: [2, (world, { a, b, c }) => givingBack(world, workerAt(world, a), { b, c })],
  giveBackPaused: [4, (world, { a, b }) => givingBackPaused(world, workerAt(world, a), b)],
  renew: [1, (world, { a, b }) => claiming.renew(world, partOf(world, b), workerAt(world, a))],
  alone: [
    1,
    (world, { a, b, c }) =>
      withHand(workerAt(world, a), b, (hand, worker) =>
        claiming.markAlone(world, hand.part, worker, { hand, isAlone: c % 3 > 0 }),
      ),
  ],
  quarantine: [1, (world, { a, b }) => quarantining(world, workerAt(world, a), b, () => true)],
  quarantineHolder: [5, (world, { a, b }) => quarantining(world, workerAt(world, a), b, cameWithPermits)],
  move: [6, (world, { a, b, c }) => goOnMoving(world, workerAt(world, a), { b, c })],
  stall: [3, (world, { a }) => sweeping.stall(world, workerAt(world, a))],
  findExpired: [3, (world, { a, b }) => sweeping.findExpired(world, partOf(world, b), a % 2)],
  redeliver: [4, (world, { a, b }) => sweeping.redeliver(world, partOf(world, b), a % 2)],
  sweep: [1, (world, { a }) => sweeping.sweep(world, partOf(world, a))],
  pass: [4, (world, { a }) => sweeping.pass(world, PASSES_MS[a % PASSES_MS.length]!)],
  passWeek: [2, (world) => (hasWhatIsForgotten(world) ? sweeping.passWeek(world) : null)],
  moveDue: [5, (world, { a }) => sweeping.moveDue(world, partOf(world, a))],
  runNow: [1, (world, { a }) => withOne(latest(world), a, ({ part, key }) => sweeping.runNow(world, part, key))],
  drawWatermark: [2, (world, { a }) => producing.drawWatermark(world, partOf(world, a))],
  clear: [6, (world, { a, b }) => clearing(world, a, b)],
  strike: [1, (world, { a, b }) => producing.strike(world, partOf(world, a), b % 2 === 0)],
  followStrikes: [1, (world, { a }) => producing.followStrikes(world, partOf(world, a))],
  pause: [3, (world, { a, b }) => pausing(world, a, b)],
  resume: [2, (world, { a, b }) => resuming(world, partOf(world, b), a)],
  retryFailures: [2, (world, { a }) => producing.retryFailures(world, partOf(world, a))],
  again: [9, (world, { a, b }) => again(world, a, b)],
} satisfies Record<string, [weight: number, choose: Choose]>;

export type OperationKind = keyof typeof OPERATIONS;

/** A random operation. */
const operation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.oneof(
    ...Object.entries(OPERATIONS).map(([kind, [weight]]) => ({
      weight,
      arbitrary: fc.constant(kind as OperationKind),
    })),
  ),
  a: fc.nat(59),
  b: fc.nat(59),
  c: fc.nat(59),
});

/** A random sequence. */
export const sequence = fc.record({
  focus: fc.nat(FOCUSES.length - 1),
  operations: fc.array(operation, { maxLength: 80, size: 'max' }),
});

/** Does what an operation says; nothing if there is nothing that it could be about. */
export async function operate(world: World, { kind, ...numbers }: Operation): Promise<void> {
  const [, choose] = OPERATIONS[kind] as [number, Choose];
  const call = choose(world, numbers);
  if (call) await world.make(call, kind === 'again');
}

/** The other partition is chosen less often, and by larger numbers. */
function partOf({ focus: { moves } }: World, number: number): Part {
  return moves && number % 3 === 2 ? 1 : 0;
}

function taskAt({ focus: { tasks } }: World, number: number): string {
  return tasks[number % tasks.length]!;
}

function workerAt(world: World, number: number): Worker {
  return world.workers[number % world.workers.length]!;
}

function withOne<T, R>(all: readonly T[], number: number, use: (one: T) => R): R | null {
  return all.length > 0 ? use(all[number % all.length]!) : null;
}

function withHand(worker: Worker, number: number, use: (hand: Hand, worker: Worker) => Call | null): Call | null {
  return withOne(worker.hands, number, (hand) => use(hand, worker));
}

/** The newest copies first, so that small numbers choose what was added last. */
function latest(world: World): Copy[] {
  return world.models.flatMap(({ copies }) => [...copies.values()]).reverse();
}

function placing(
  world: World,
  { kind, a, b, c }: { readonly kind: Placing['kind'] } & Omit<Operation, 'kind'>,
): Placing {
  const task = taskAt(world, a);
  const home: Part = world.focus.moves && c % 3 === 2 ? 1 : 0;
  const part: Part = world.focus.moves && c % 7 === 6 ? 1 : c % 4 === 3 ? home : 0;
  const isLean = kind === 'lean';
  const key = kind === 'unique' || isLean ? `id${world.executions + 1}` : `k${b % 2}`;
  const priority = PRIORITIES[Math.floor(b / 3) % PRIORITIES.length]!;
  const ttlMs = isLean || a % 4 === 3 ? 0 : 600_000;
  return {
    kind,
    isLean,
    key,
    task,
    part,
    home,
    delayMs: DELAYS_MS[Math.floor(c / 5) % DELAYS_MS.length]!,
    priority,
    ttlMs,
  };
}

/** Adds one execution, or two in one call. */
function adding(world: World, { a, b, c }: Omit<Operation, 'kind'>, kinds: readonly Placing['kind'][]): Call {
  const first = placing(world, { kind: kinds[b % kinds.length]!, a, b, c });
  if (a % 10 < 7) return producing.add(world, first.part, [first]);
  const second = {
    ...placing(world, { kind: first.kind, a: a + 1, b: b + 3, c }),
    part: first.part,
    delayMs: first.delayMs,
  };
  const key = second.key.startsWith('id') ? `id${world.executions + 2}` : second.key;
  return producing.add(world, first.part, [first, { ...second, key }]);
}

function isAtHome(world: World, { n, part }: Hand): boolean {
  return world.model(part).copies.get(n)?.home === part;
}

function claimOne(world: World, worker: Worker, { b, c }: { readonly b: number; readonly c: number }): Call | null {
  return withOne(
    worker.hands.filter((hand) => !hand.isClaimed && isAtHome(world, hand)),
    b,
    (hand) => {
      const { part } = hand;
      const { record, envelope } = hand.delivery;
      if (TASKS[envelope.task]!.length > 0) return claiming.admit(world, part, worker, hand);
      if (record === null) return null; // to have read it is enough
      const others = worker.hands.filter(
        (one) =>
          one !== hand && one.part === part && !one.isClaimed && isAtHome(world, one) && one.delivery.record !== null,
      );
      const claimable = others.filter((one) => TASKS[one.delivery.envelope.task]!.length === 0);
      return claiming.claim(world, part, worker, [hand, ...claimable.slice(0, c % 3)]);
    },
  );
}

/** Whether a worker runs it: it was claimed, or needs no claim. */
function isStarted({ isClaimed, delivery: { record, envelope } }: Hand): boolean {
  return isClaimed || (record === null && TASKS[envelope.task]!.length === 0);
}

function settleSome(
  world: World,
  worker: Worker,
  { b, c, outcomes }: { readonly b: number; readonly c: number; readonly outcomes: readonly settling.Outcome[] },
): Call | null {
  return withOne(
    worker.hands.filter((hand) => isStarted(hand) && isAtHome(world, hand)),
    b,
    (hand) => {
      const others = worker.hands.filter(
        (one) => one !== hand && isStarted(one) && isAtHome(world, one) && one.part === hand.part,
      );
      const items = [hand, ...others.slice(0, Math.floor(c / 12))].map((one, i) => {
        const number = (c % 10) + 5 * i;
        return { hand: one, outcome: outcomeFor(one, outcomes[number % outcomes.length]!, b) };
      });
      return settling.settle(world, hand.part, worker, items);
    },
  );
}

/** A run of a chain is followed by the next one more often than it ends the chain. */
function outcomeFor({ delivery }: Hand, outcome: settling.Outcome, b: number): settling.Outcome {
  const { task } = delivery.envelope;
  if (task === 'chain' && outcome !== 'failed' && ENDS.includes(outcome)) {
    return b % 5 === 4 ? outcome : b % 2 === 0 ? 'follow' : 'follow later';
  }
  // A start that a rate has counted and that did not take place would be counted again.
  if (task.startsWith('rated') && (outcome === 'requeue' || outcome === 'pause' || outcome === 'reroute'))
    return 'interrupt';
  return outcome;
}

/** Lets go of an execution that was read and not claimed. */
function givingBack(world: World, worker: Worker, { b, c }: { readonly b: number; readonly c: number }): Call | null {
  return withOne(
    worker.hands.filter((hand) => !isStarted(hand)),
    b,
    (hand) => {
      const outcome = UNCLAIMED[c % UNCLAIMED.length]!;
      const isDrop = outcome === 'cancelled' || outcome === 'failed';
      return settling.settle(world, hand.part, worker, [
        { hand, outcome: isDrop && !isAtHome(world, hand) ? 'put off' : outcome },
      ]);
    },
  );
}

/** Lets go of an execution whose task is paused, and that was not claimed. */
function givingBackPaused(world: World, worker: Worker, b: number): Call | null {
  return withOne(
    worker.hands.filter(
      (hand) => !hand.isClaimed && world.model(hand.part).pausedTasks.has(hand.delivery.envelope.task),
    ),
    b,
    (hand) => settling.settle(world, hand.part, worker, [{ hand, outcome: 'pause' }]),
  );
}

/** Pauses a task, more often one of which a worker has something in hand. */
function pausing(world: World, a: number, b: number): Call {
  const { hands } = workerAt(world, b);
  const inHand = b % 3 > 0 ? withOne(hands, a, (hand) => hand) : null;
  if (inHand) return producing.pause(world, inHand.part, inHand.delivery.envelope.task);
  return producing.pause(world, partOf(world, b), taskAt(world, a));
}

/** Whether there is anything that a docket forgets after a week. */
function hasWhatIsForgotten({ models }: World): boolean {
  return models.some(({ superseded, alive }) => superseded.size > 0 || alive.some(({ isRemembered }) => isRemembered));
}

function quarantining(world: World, worker: Worker, b: number, mayBe: (hand: Hand) => boolean): Call | null {
  return withOne(
    worker.hands.filter((hand) => !isStarted(hand) && !hand.departing && mayBe(hand)),
    b,
    (hand) => claiming.quarantine(world, hand.part, worker, { hand }),
  );
}

function cameWithPermits({ delivery }: Hand): boolean {
  return delivery.holdsPermits;
}

/** Goes on with a move: reads it, places it, removes it, or lets go of it. */
function goOnMoving(world: World, worker: Worker, { b, c }: { readonly b: number; readonly c: number }): Call | null {
  return withOne(
    worker.hands.filter((hand) => !isAtHome(world, hand)),
    b,
    (hand) => {
      const { part, departing } = hand;
      if (!departing || c % 8 === 7) return moving.depart(world, part, worker, hand);
      const arrival = world.model(part === 0 ? 1 : 0).arrivals.get(departing.read.move);
      if (!arrival) return moving.arrive(world, part, worker, { hand, departing });
      if (arrival === 'stopped') return settling.settle(world, part, worker, [{ hand, outcome: 'cancelled' }]);
      if (world.model(part).copies.get(hand.n)?.isRemembered && c % 2 === 0) {
        return moving.cancelArrived(world, part, worker, { hand, departing });
      }
      return moving.removeDeparted(world, part, worker, hand);
    },
  );
}

function clearing(world: World, a: number, b: number): Call {
  const watermark = world.watermarks.at(-1 - (a % 3));
  if (!watermark) return producing.drawWatermark(world, partOf(world, a));
  const { work, front, high, low } = schema.STREAM;
  const pages = [work, '', front, work, ...world.observed[watermark.part]!.lines.keys(), high, low];
  return producing.clearPage(world, watermark, pages[b % pages.length]!);
}

/** Resumes what is paused, if anything is. */
function resuming(world: World, part: Part, a: number): Call {
  const paused = [...world.model(part).pausedTasks];
  return producing.resume(world, part, paused[a % paused.length] ?? taskAt(world, a));
}

/** Calls that are sent again when a reply is lost, or that arrive when nobody expects them any more. Adds are never sent again. */
function again(world: World, a: number, b: number): Call | null {
  const resent = world.sent.filter(
    ({ name }) => !name.startsWith('add') && !name.startsWith('replace') && !name.includes(' reads '),
  );
  const recent = resent.slice(a % 3 === 0 ? -1 : -8).reverse();
  return withOne(recent, b, (call) => call);
}
