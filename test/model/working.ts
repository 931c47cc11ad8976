/** What workers do with entries: read, claim, admit, settle, renew, quarantine, and move to another partition. */
import type { AdmissionRequest, AdmissionResult } from '../../src/redis/admission-store.js';
import type { Settlement, Token } from '../../src/redis/delivery-store.js';
import type { Entry } from '../../src/redis/entry.js';
import type { Delivery as DeliveryClass } from '../../src/worker/delivery.js';
import {
  admissions,
  cancels,
  codec,
  deliveries,
  envelopes,
  moveStore,
  producers,
  reader,
  schema,
  settlements,
  workerDelivery,
} from './built.js';
import { type Copy, isInHand, type Part, type PartitionModel } from './model.js';
import type { ObservedEntry } from './observe.js';
import { cancelArriving } from './producing.js';
import { permitsOf, RATE, TASKS } from './tasks.js';
import { type Call, expectReply, type Hand, type Worker, type World } from './world.js';

const CHAIN = { perpetual: { kind: 'perpetual', everyMs: 10_000, isAutomatic: false } };
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

/** Reads from the streams in the order of reading, so many entries from each; claims what a claim in the same round trip may. */
export function read(
  world: World,
  part: Part,
  worker: Worker,
  how: { readonly count: number; readonly claims: boolean },
): Call {
  const { count, claims } = how;
  return {
    name: `${worker.name} reads ${count} in ${part}${claims ? ', and claims' : ''}`,
    send: async () => {
      const { redis } = world;
      const keys = world.keys[part];
      const entries = await reader.readEntries(redis, keys, { consumer: worker.name, count, blockMs: null });
      const unread = unreadOf(world, part, count);
      expectReply(
        entries.map(({ token }) => token),
        unread.map(({ token }) => token),
        'read',
      );
      for (const entry of entries) takeInHand(world, part, worker, entry);
      if (!claims) return;
      const about = { consumer: worker.name, worker: worker.name, from: '0-0', tasks: ['plain'] };
      const { tokens } = await deliveries.claimRead(redis, keys, about);
      const model = world.model(part);
      expectReply(tokens, claimableWithRead(world, part, worker), 'claim with the read');
      for (const token of tokens) {
        const copy = model.owner(token)!;
        copy.place = { kind: 'running', worker: worker.name };
        for (const hand of worker.hands) if (hand.delivery.token === token) hand.isClaimed = true;
      }
    },
  };
}

/** Returns the entries that a read brings. */
function unreadOf(world: World, part: Part, count: number): ObservedEntry[] {
  const all = [...world.observed[part]!.entries.values()].filter(({ pending }) => pending === null);
  return schema.STREAM_LETTERS.flatMap((letter) => all.filter(({ token }) => token[0] === letter).slice(0, count));
}

function takeInHand(world: World, part: Part, worker: Worker, entry: Entry): void {
  const envelope = new envelopes.Envelope(entry.message!);
  const policies = envelope.task === 'chain' ? CHAIN : {};
  const delivery = new workerDelivery.Delivery(
    entry,
    envelope,
    policies as DeliveryClass['policies'],
    {} as DeliveryClass['pipeline'],
  );
  const n = world.observed[part]!.entries.get(entry.token)!.n;
  const copy = world.model(part).copies.get(n)!;
  expectReply(copy.dueMs <= world.nowMs, true, `read: whether ${n} is due`);
  copy.place = { kind: 'read', worker: worker.name };
  worker.hands.push({ delivery, n, part, isClaimed: false });
}

/** The first few of the worker's entries on `work` that are first deliveries of first attempts of plain tasks. */
function claimableWithRead(world: World, part: Part, worker: Worker): Token[] {
  const { ENTRY, STREAM, CLAIMED_WITH_READ } = schema;
  const model = world.model(part);
  const usual: readonly string[] = [ENTRY.key, ENTRY.message, ENTRY.due];
  const onWork = [...world.observed[part]!.entries.values()].filter(({ token }) => token[0] === STREAM.work);
  return onWork
    .filter(({ token }) => {
      const owner = model.owner(token);
      return owner && isInHand(owner) && (owner.place as { worker?: string }).worker === worker.name;
    })
    .slice(0, CLAIMED_WITH_READ)
    .flatMap(({ token, fields }) => {
      const copy = model.owner(token)!;
      const isUsual = [...fields.keys()].every((name) => usual.includes(name));
      const isClaimed = isUsual && !copy.isLean && copy.task === 'plain' && copy.attempt === 1 && !copy.isSuperseded;
      return isClaimed ? [token] : [];
    });
}

/** Claims what has a record and no limits. */
export function claim(world: World, part: Part, worker: Worker, hands: readonly Hand[]): Call {
  const claims = hands.map(({ delivery: { record, token, envelope } }) => ({
    key: record!,
    token,
    attempt: envelope.attempt,
  }));
  return {
    name: `${worker.name} claims ${namesOf(hands)} in ${part}`,
    send: async () => {
      const model = world.model(part);
      const refused = hands.flatMap((hand, i) => (takeOwnership(model, hand, worker) ? [] : [i]));
      const reply = await deliveries.claim(world.redis, world.keys[part], worker.name, claims);
      expectReply(reply, { refused, errors: [] }, 'claim');
      for (const [i, hand] of hands.entries()) keep(worker, hand, !refused.includes(i));
    },
  };
}

/** Whether the claim of an entry counts: the record names no other one. An entry that is refused is removed. */
function takeOwnership(model: PartitionModel, { delivery: { token } }: Hand, worker: Worker): boolean {
  const copy = model.owner(token);
  if (copy && !copy.isSuperseded) {
    copy.place = { kind: 'running', worker: worker.name };
    return true;
  }
  if (copy) model.end(copy, 'replaced');
  return false;
}

function keep(worker: Worker, hand: Hand, isClaimed: boolean): void {
  if (isClaimed) hand.isClaimed = true;
  else worker.hands = worker.hands.filter((one) => one !== hand);
}

/** Claims one execution that has limits. */
export function admit(world: World, part: Part, worker: Worker, hand: Hand): Call {
  const { delivery } = hand;
  const { record, token, envelope, admissionStage, holdsPermits, hasBooking, priority } = delivery;
  const { attempt, ttlMs, task } = envelope;
  const id = record === null ? (envelope.id ?? token) : '';
  const ticket = workerDelivery.ticketOf(delivery);
  const checks = TASKS[task]!;
  const request: AdmissionRequest = {
    record,
    token,
    attempt,
    ttlMs,
    ticket,
    id,
    admissionStage,
    holdsPermits,
    hasBooking,
    priority,
    checks,
  };
  return {
    name: `${worker.name} admits ${hand.n} in ${part}`,
    send: async () => {
      const model = world.model(part);
      const copy = model.owner(token);
      const expected = expectedAdmission(model, copy, hand);
      const consumer = worker.name;
      const [result] = await admissions.admit(world.redis, world.keys[part], { worker: worker.name, consumer }, [
        request,
      ]);
      const isAllowed = expected.includes(result!);
      expectReply(isAllowed ? '' : result, isAllowed ? '' : expected, `admission of ${hand.n}`);
      if (copy?.isLean) copy.isExpired = false;
      if (result === 'refused' && copy) model.end(copy, 'replaced');
      if (result === 'parked') await learnPlace(world, model, copy!, hand);
      if (result === null) {
        copy!.place = { kind: 'running', worker: worker.name };
        copy!.holdsPermits ||= permitsOf(task).length > 0;
        if (hasBooking || admissionStage !== 'attempt-admitted') countStart(world, copy!, hand);
      }
      keep(worker, hand, result === null);
      // What a cooldown or a debounce drops is the worker's to settle.
      if (result === 'cooldown' || result === 'debounce') worker.hands.push({ ...hand, isClaimed: true });
    },
  };
}

type Admission = AdmissionResult | null;

/** The results that an admission may have. Those of rates and debounces are left open; the rules about them are checked. */
function expectedAdmission(model: PartitionModel, copy: Copy | undefined, hand: Hand): Admission[] {
  if (!copy || copy.isSuperseded) return ['refused'];
  const { delivery } = hand;
  const { task } = delivery.envelope;
  const wasAdmitted = copy.place.kind === 'running' && !copy.isLean;
  if (TASKS[task]!.includes(RATE)) return [null, 'parked'];
  if (delivery.holdsPermits || wasAdmitted) return [null];
  if (task === 'cool') return delivery.admissionStage === 'new' ? [null, 'cooldown'] : [null];
  if (task === 'settling')
    return delivery.admissionStage === 'attempt-admitted' || delivery.admissionStage === 'submission-admitted'
      ? [null]
      : [null, 'parked', 'debounce'];
  if (copy.isLean && copy.holdsPermits) return [null];
  return [fullLimit(model, copy, ticketIn(copy, hand)) === null ? null : 'parked'];
}

function ticketIn({ isLean, generation, priority }: Copy, { delivery }: Hand): number {
  return (
    (isLean ? workerDelivery.ticketOf(delivery) : generation) +
    (schema.TICKET_SHIFT[priority === 'normal' ? '' : letterOf(priority)] ?? 0)
  );
}

function letterOf(priority: 'high' | 'low'): string {
  return priority === 'high' ? schema.STREAM.high : schema.STREAM.low;
}

/** Returns the limit at which an execution has to wait; `null` when there is room for it. Nobody passes a lower ticket. */
function fullLimit(model: PartitionModel, copy: Copy, ticket: number): string | null {
  for (const { key, max } of permitsOf(copy.task)) {
    const taken = model.alive.filter(
      ({ holdsPermits, task }) => holdsPermits && permitsOf(task).some((one) => one.key === key),
    ).length;
    const [first] = model.line(key);
    if (taken >= max || (first && first.ticket < ticket)) return key;
  }
  return null;
}

/** Puts an execution where the admission has parked it: in line for a permit, or on the schedule for its turn. */
async function learnPlace(world: World, model: PartitionModel, copy: Copy, hand: Hand): Promise<void> {
  const line = permitsOf(copy.task).length > 0 ? fullLimit(model, copy, ticketIn(copy, hand)) : null;
  const member = `${copy.isLean ? schema.TAG.lean : schema.TAG.recorded}${copy.key}`;
  const score = await world.redis.zscore(world.keys[copy.part].schedule, member);
  if (score !== null) {
    expectReply(Number(score) >= world.nowMs, true, `admission: whether ${copy.n} comes again in the future`);
    model.move(copy, { kind: 'scheduled', atMs: Number(score) });
  } else model.move(copy, { kind: 'waiting', line: line!, ticket: ticketIn(copy, hand) });
  if (copy.task !== 'settling') return;
  // It is the winner now, and the one before is dropped.
  for (const other of model.alive) {
    const isSettling = other !== copy && other.task === 'settling' && other.place.kind === 'scheduled';
    const gone =
      isSettling &&
      (await world.redis.zscore(world.keys[copy.part].schedule, `${other.isLean ? 'l' : 'k'}${other.key}`)) === null;
    if (gone) model.end(other, 'cancelled');
  }
}

/** No period has more starts than the rate allows in its partition. */
function countStart(world: World, { part, generation, key }: Copy, { delivery }: Hand): void {
  if (!TASKS[delivery.envelope.task]!.includes(RATE)) return;
  const starts = world.starts[part];
  starts.set(`${key} ${generation || delivery.dueMs} ${delivery.envelope.attempt}`, world.nowMs);
  const times = [...starts.values()].sort((a, b) => a - b);
  for (let i = RATE.max; i < times.length; i++) {
    const isWide = times[i]! - times[i - RATE.max]! >= RATE.perMs;
    expectReply(isWide, true, `admission: whether ${RATE.max + 1} starts are ${RATE.perMs} ms apart`);
  }
}

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
  };
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
      copy.dueMs = copy.task === 'chain' ? copy.dueMs : world.nowMs + delayMs;
      return;
    }
    case 'put off':
      return later(1_000);
    case 'reroute':
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
    moves: 0,
    isListed: !copy.isLean,
  });
}

/** Renews leases, which have run out or not. */
export function renew(world: World, part: Part, worker: Worker): Call {
  const tokens = worker.hands.filter((hand) => hand.part === part).map(({ delivery }) => delivery.token);
  return {
    name: `${worker.name} renews its leases in ${part}`,
    send: async () => {
      const model = world.model(part);
      const lost = tokens.filter((token) => !model.owner(token));
      expectReply(await deliveries.renew(world.redis, world.keys[part], worker.name, tokens), lost, 'renew');
      for (const token of tokens) {
        const copy = model.owner(token);
        if (copy) copy.isExpired = false;
      }
    },
  };
}

export function markAlone(
  world: World,
  part: Part,
  worker: Worker,
  { hand, isAlone }: { readonly hand: Hand; readonly isAlone: boolean },
): Call {
  const { token } = hand.delivery;
  return {
    name: `${worker.name} marks ${hand.n} as ${isAlone ? '' : 'not '}alone in ${part}`,
    send: async () => {
      const copy = world.model(part).owner(token);
      const reply = await deliveries.markAlone(world.redis, world.keys[part], {
        consumer: worker.name,
        token,
        isAlone,
      });
      expectReply(reply, copy !== undefined, 'the alone mark');
      if (copy) Object.assign(copy, { isAlone, isExpired: false });
    },
  };
}

/** Puts away a message as one that nobody can read. */
export function quarantine(world: World, part: Part, worker: Worker, { hand }: { readonly hand: Hand }): Call {
  const { token, record, envelope } = hand.delivery;
  return {
    name: `${worker.name} puts ${hand.n} into quarantine in ${part}`,
    send: async () => {
      const model = world.model(part);
      const copy = model.owner(token);
      await deliveries.quarantine(world.redis, world.keys[part], {
        token,
        record,
        reason: 'no',
        message: envelope.bytes,
      });
      worker.hands = worker.hands.filter((one) => one.delivery.token !== token);
      if (!copy) return;
      model.failures.push(copy.n);
      const isCurrent = model.isCurrent(copy);
      model.end(copy, isCurrent ? 'failed' : 'replaced');
      if (isCurrent && !copy.isLean) model.records.set(copy.key, copy); // kept for a while, whatever its TTL
      if (!isCurrent) model.superseded.add(token);
    },
  };
}

/** Reads an execution that belongs in the other partition. */
export function depart(world: World, part: Part, worker: Worker, hand: Hand): Call {
  const to: Part = part === 0 ? 1 : 0;
  const { token, record, envelope } = hand.delivery;
  return {
    name: `${worker.name} begins to move ${hand.n} from ${part}`,
    send: async () => {
      const model = world.model(part);
      const copy = model.owner(token);
      const key = record ?? envelope.id!;
      const read = await moveStore.readDeparting(world.redis, world.keys[part], {
        token,
        key,
        from: world.tag(part),
        to: world.tag(to),
      });
      const isOurs = copy !== undefined && !copy.isSuperseded && !copy.isCancelled;
      expectReply(read !== null, isOurs, `whether ${hand.n} departs`);
      if (!read || !isOurs) return;
      hand.departing = { read, copy: { ...copy }, untilMs: world.nowMs + 5 * 60_000 };
      if (!copy.isLean) copy.departing = { to: world.tag(to), name: read.move, generation: String(copy.generation) };
    },
  };
}

/** Places an execution that departs where it belongs. */
export function arrive(
  world: World,
  part: Part,
  worker: Worker,
  { hand, departing }: { readonly hand: Hand; readonly departing: NonNullable<Hand['departing']> },
): Call {
  const to: Part = part === 0 ? 1 : 0;
  const { read, copy, untilMs } = departing;
  return {
    name: `${worker.name} moves ${hand.n} to ${to}`,
    send: async () => {
      const model = world.model(to);
      const expected = expectedArrival(world, model, departing);
      const arrival = await moveStore.place(world.redis, world.keys[to], read, untilMs);
      expectReply(arrival, expected, `arrival of ${hand.n}`);
      if (arrival !== 'placed') return;
      model.arrivals.set(read.move, 'placed');
      const moves = copy.moves + 1;
      const fresh = {
        isAlone: false,
        isExpired: false,
        holdsPermits: false,
        isRemembered: false,
        departing: null,
        token: null,
      };
      model.add({ ...copy, ...fresh, part: to, place: { kind: 'ready' }, moves });
    },
  };
}

function expectedArrival(
  world: World,
  model: PartitionModel,
  { read, copy, untilMs }: NonNullable<Hand['departing']>,
): string {
  const arrival = model.arrivals.get(read.move);
  if (arrival) return arrival === 'stopped' ? 'stopped' : 'before';
  if (world.nowMs > untilMs) return 'late';
  const there = copy.isLean ? undefined : model.records.get(copy.key);
  if (!there) return 'placed';
  const isAlive = there.place.kind !== 'gone';
  if (there.generation === copy.generation) return isAlive ? 'leaving' : 'before';
  if (!isAlive) return 'placed';
  return world.nowMs < copy.replacingUntilMs ? 'leaving' : 'taken';
}

/** Removes an execution that has arrived from where it was. */
export function removeDeparted(world: World, part: Part, worker: Worker, hand: Hand): Call {
  const { token } = hand.delivery;
  return {
    name: `${worker.name} removes ${hand.n}, which was moved, from ${part}`,
    send: async () => {
      const model = world.model(part);
      const copy = model.owner(token);
      const expected = !copy ? 'gone' : copy.isLean && copy.isRemembered ? 'cancelled' : 'removed';
      const departure = await moveStore.removeDeparted(world.redis, world.keys[part], token);
      expectReply(departure, expected, `departure of ${hand.n}`);
      if (departure !== 'cancelled') worker.hands = worker.hands.filter((one) => one.delivery.token !== token);
      if (departure === 'removed') model.end(copy!, 'moved');
    },
  };
}

/** Cancels where it has arrived what was cancelled here; the worker then ends it here, too. */
export function cancelArrived(
  world: World,
  part: Part,
  worker: Worker,
  { hand, departing }: { readonly hand: Hand; readonly departing: NonNullable<Hand['departing']> },
): Call {
  const to: Part = part === 0 ? 1 : 0;
  const { key } = departing.copy;
  const move = { to: world.tag(to), name: departing.read.move, generation: '' };
  return {
    name: `${worker.name} cancels ${hand.n} in ${to}`,
    send: async () => {
      const expected = cancelArriving(world, key, move);
      const reply = await producers.cancel(world.redis, world.keys[to], { key, move });
      expectReply(reply?.outcome, expected, `cancel of ${hand.n}, which was moved`);
    },
  };
}

function namesOf(hands: readonly Hand[]): string {
  return hands.map(({ n }) => n).join(', ');
}
