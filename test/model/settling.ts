/** What workers make of what they have read: the outcomes of executions, and the ways to give them back. */
import type { Settlement } from '../../src/redis/delivery-store.js';
import { cancels, codec, deliveries, schema, settlements } from './built.js';
import { ticketIn } from './claiming.js';
import type { Copy, Part, PartitionModel } from './model.js';
import { permitsOf } from './tasks.js';
import { type Call, expectReply, type Hand, type Worker, type World } from './world.js';

/** No failure gets too old, although the ids of failures go by the real clock. */
export const BOUNDS = { ttlMs: 1e12, maxCount: 1_000, maxBytes: 1_000_000 };
const FAILURE = {
  errorName: 'Error',
  errorLine: 'Error: no',
  error: Buffer.from('x'),
  worker: 'w',
  thread: 1,
  startedMs: null,
};

/** How an execution is let go. */
export type Outcome =
  | 'completed'
  | 'result'
  | 'failed'
  | 'cancelled'
  | 'retry'
  | 'retry later'
  | 'requeue'
  | 'interrupt'
  | 'put off'
  | 'reroute'
  | 'redeliver'
  | 'charge'
  | 'pause'
  | 'follow'
  | 'follow later';

/** Settles several deliveries in one call. Those of lean executions that keep nothing are acknowledged instead. */
export function settle(
  world: World,
  part: Part,
  worker: Worker,
  items: readonly { readonly hand: Hand; readonly outcome: Outcome }[],
): Call {
  const prepared = items.map(({ hand, outcome }) => {
    const next = outcome.startsWith('follow') ? ++world.executions : 0;
    return { hand, outcome, next, settlement: settlementOf(hand, outcome, next) };
  });
  return {
    name: `${worker.name} settles ${prepared.map(({ hand, outcome, next }) => `${hand.n} ${outcome}${next ? ` by ${next}` : ''}`).join(', ')} in ${part}`,
    send: async () => {
      const model = world.model(part);
      const acknowledged = prepared.flatMap(({ hand, settlement }) =>
        settlement === null ? [hand.delivery.token] : [],
      );
      const written = prepared.flatMap(({ settlement }) => (settlement ? [settlement] : []));
      const fenced = prepared.filter((item) => !settleCopy(world, model, item));
      if (acknowledged.length > 0) {
        const reply = await deliveries.acknowledge(world.redis, world.keys[part], acknowledged);
        const expected = fenced.flatMap(({ hand, settlement }) => (settlement === null ? [hand.delivery.token] : []));
        expectReply([...reply].sort(), expected.sort(), 'acknowledge');
      }
      if (written.length > 0) {
        const reply = await deliveries.settle(world.redis, world.keys[part], written, BOUNDS);
        const expected = fenced.flatMap(({ hand, settlement }) => (settlement ? [hand.delivery.token] : []));
        expectReply(
          { fenced: reply.fenced.map(({ token }) => token).sort(), errors: reply.errors },
          { fenced: expected.sort(), errors: [] },
          'settle',
        );
      }
      const ended = prepared.filter(({ outcome, hand }) => isEnd(outcome) && hand.delivery.record === null);
      const ids = ended.map(({ hand }) => hand.delivery.envelope.id!);
      if (ids.length > 0) await cancels.forgetCancelled(world.redis, world.keys[part], ids);
      worker.hands = worker.hands.filter(
        (hand) => !prepared.some((item) => item.hand.delivery.token === hand.delivery.token),
      );
    },
  };
}

function isEnd(outcome: Outcome): outcome is 'completed' | 'result' | 'failed' | 'cancelled' {
  return outcome === 'completed' || outcome === 'result' || outcome === 'failed' || outcome === 'cancelled';
}

/** Returns what a worker writes; `null` when it only acknowledges. */
function settlementOf(hand: Hand, outcome: Outcome, next: number): Settlement | null {
  const { delivery } = hand;
  const { record, envelope } = delivery;
  const line = 'Error: no';
  switch (outcome) {
    case 'completed':
    case 'result':
    case 'failed':
    case 'cancelled': {
      const state = outcome === 'result' ? 'completed' : outcome;
      const failure = outcome === 'failed' ? { failure: FAILURE } : {};
      if (record !== null) {
        const result = outcome === 'result' ? { result: Buffer.from('r') } : {};
        return settlements.ended(delivery, record, {
          state,
          errorLine: state === 'completed' ? '' : line,
          ...result,
          ...failure,
        });
      }
      const mayHoldPermits = permitsOf(envelope.task).length > 0;
      return outcome === 'failed' || mayHoldPermits ? settlements.unrecorded(delivery, failure.failure) : null;
    }
    case 'retry':
      return settlements.retried(delivery, { delayMs: 0 }, line);
    case 'retry later':
      return settlements.retried(delivery, { delayMs: 7_000 }, line);
    case 'requeue':
      return settlements.requeued(delivery, { isAdmitted: hand.isClaimed });
    case 'interrupt':
      return settlements.requeued(delivery, { isAdmitted: true, hasStarted: true });
    case 'put off':
      return settlements.requeued(delivery, { delayMs: 1_000, isAdmitted: hand.isClaimed, hasStarted: hand.isClaimed });
    case 'reroute':
      return settlements.rerouted(delivery, { delayMs: 10_000, isAdmitted: hand.isClaimed, isRecallable: true });
    case 'redeliver':
      return settlements.redelivered(delivery, 0);
    case 'charge':
      return settlements.redelivered(delivery, 1);
    case 'pause':
      return settlements.paused(delivery, hand.isClaimed);
    case 'follow':
    case 'follow later': {
      const due = { delayMs: outcome === 'follow' ? 0 : 10_000 };
      const args = codec.encodeValue([`<${next}>`], 'args');
      return settlements.followed(delivery, { state: 'completed' }, { due, args, counts: true });
    }
  }
}

/** What a settlement makes of an execution. Returns false when it is fenced off. */
function settleCopy(
  world: World,
  model: PartitionModel,
  { hand, outcome, next }: { readonly hand: Hand; readonly outcome: Outcome; readonly next: number },
): boolean {
  const copy = model.owner(hand.delivery.token);
  if (!copy) return false;
  if (copy.isSuperseded) {
    model.end(copy, 'replaced');
    return false;
  }
  if (isEnd(outcome)) {
    model.end(copy, outcome === 'result' ? 'completed' : outcome);
    copy.outcome = { hasResult: outcome === 'result', hasError: outcome === 'failed' || outcome === 'cancelled' };
    if (outcome === 'failed') model.failures.push(copy.n);
  } else if (copy.isCancelled || copy.isRemembered) model.end(copy, 'cancelled');
  else if (outcome === 'follow' || outcome === 'follow later')
    follow(world, model, copy, { next, delayMs: outcome === 'follow' ? 0 : 10_000 });
  else goOn(world, model, copy, { hand, outcome });
  return true;
}

function goOn(
  world: World,
  model: PartitionModel,
  copy: Copy,
  {
    hand,
    outcome,
  }: {
    readonly hand: Hand;
    readonly outcome: Exclude<Outcome, 'completed' | 'result' | 'failed' | 'cancelled' | 'follow' | 'follow later'>;
  },
): void {
  const { holdsPermits } = copy;
  const toFront = () => {
    model.move(copy, { kind: 'ready' });
    copy.holdsPermits = holdsPermits;
    copy.cameWithPermits = holdsPermits;
  };
  const hasStarted = outcome === 'interrupt' || outcome === 'redeliver' || outcome === 'charge';
  if (hand.isClaimed || hasStarted) copy.stage = 'attempt-admitted';
  if (hasStarted || (outcome === 'put off' && hand.isClaimed)) copy.isBooked = false;
  const later = (ms: number) => model.move(copy, { kind: 'scheduled', atMs: world.nowMs + ms });
  copy.deliveries = hand.delivery.deliveries;
  copy.charges = hand.delivery.charges;
  switch (outcome) {
    case 'retry':
    case 'retry later': {
      const delayMs = outcome === 'retry' ? 0 : 7_000;
      if (delayMs > 0) later(delayMs);
      else model.move(copy, { kind: 'ready' });
      copy.attempt += 1;
      copy.deliveries = 0;
      copy.charges = 0;
      copy.reroutes = 0;
      copy.stage = 'submission-admitted';
      copy.isBooked = false;
      copy.failedAttempts += copy.isLean ? 0 : 1;
      copy.dueMs = copy.task === 'chain' ? copy.dueMs : world.nowMs + delayMs;
      return;
    }
    case 'put off':
      return later(1_000);
    case 'reroute':
      copy.reroutes += 1;
      return later(10_000);
    case 'requeue':
    case 'interrupt':
      return toFront();
    case 'redeliver':
    case 'charge':
      toFront();
      copy.deliveries += 1;
      copy.charges += outcome === 'charge' ? 1 : 0;
      return;
    case 'pause': {
      if (!model.pausedTasks.has(copy.task)) return toFront();
      const ticket = ticketIn(copy, hand);
      model.move(copy, { kind: 'waiting', line: `${schema.PAUSE.task}${copy.task}`, ticket });
    }
  }
}

/** The next run takes the key, in the same call. */
function follow(
  world: World,
  model: PartitionModel,
  copy: Copy,
  { next, delayMs }: { readonly next: number; readonly delayMs: number },
): void {
  model.end(copy, 'completed');
  const dueMs = world.nowMs + delayMs;
  model.add({
    ...copy,
    n: next,
    place: delayMs > 0 ? { kind: 'scheduled', atMs: dueMs } : { kind: 'ready' },
    dueMs,
    generation: copy.isLean ? 0 : Number.NaN,
    placedAs: world.placements++,
    attempt: 1,
    deliveries: 0,
    charges: 0,
    reroutes: 0,
    moves: 0,
    stage: 'new',
    isBooked: false,
    failedAttempts: 0,
    outcome: null,
    isListed: !copy.isLean,
  });
}
