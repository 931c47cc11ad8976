/** What workers do with entries before they run: read, claim, admit; renew, mark and put away. */
import type { AdmissionRequest, AdmissionResult } from '../../src/redis/admission-store.js';
import type { Token } from '../../src/redis/delivery-store.js';
import type { Entry } from '../../src/redis/entry.js';
import type { Delivery as DeliveryClass } from '../../src/worker/delivery.js';
import { admissions, deliveries, envelopes, reader, schema, workerDelivery } from './built.js';
import { type Copy, isInHand, type Part, type PartitionModel } from './model.js';
import type { ObservedEntry } from './observe.js';
import { permitsOf, RATE, TASKS } from './tasks.js';
import { type Call, expectReply, type Hand, type Worker, type World } from './world.js';

const CHAIN = { perpetual: { kind: 'perpetual', everyMs: 10_000, isAutomatic: false } };

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

/** Returns where an execution stands in a line. */
export function ticketIn({ isLean, generation, priority }: Copy, { delivery }: Hand): number {
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
  const member = `${copy.isLean ? schema.LETTER.lean : schema.LETTER.recorded}${copy.key}`;
  const score = await world.redis.zscore(world.keys[copy.part].schedule, member);
  if (score !== null) {
    expectReply(Number(score) >= world.nowMs, true, `admission: whether ${copy.n} comes again in the future`);
    model.move(copy, { kind: 'scheduled', atMs: Number(score) });
  } else model.move(copy, { kind: 'waiting', line: line!, ticket: ticketIn(copy, hand) });
  const mustPassRate = copy.stage !== 'attempt-admitted' || copy.isBooked === true;
  copy.isBooked = TASKS[copy.task]!.includes(RATE) && (score !== null || mustPassRate);
  copy.stage = copy.task === 'settling' ? 'debounce-over' : 'attempt-admitted';
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
  const { token, record } = hand.delivery;
  return {
    name: `${worker.name} puts ${hand.n} into quarantine in ${part}`,
    send: async () => {
      const model = world.model(part);
      const copy = model.owner(token);
      await deliveries.quarantine(world.redis, world.keys[part], {
        token,
        record,
        reason: 'no',
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
function namesOf(hands: readonly Hand[]): string {
  return hands.map(({ n }) => n).join(', ');
}
