/**
 * Compares what Redis has with what the model says, after every call. Owns the rules that hold for a docket as a whole:
 *
 *   - Each execution is in one place only, the one that the model says, and every entry, member and record belongs to one.
 *   - An entry is never taken over in place: whatever moves an execution on gives it a token that no entry had before.
 *   - As many permits are taken as executions hold, and never more than the limit has. Nobody waits beside a free permit, and
 *     whoever is first in line comes first.
 *   - An execution keeps its priority, its number of deliveries and charges, and its attempt, wherever it goes.
 *   - What has ended stays in no place; only the known few keys have no TTL.
 */
import assert from 'node:assert/strict';
import type { Token } from '../../src/redis/delivery-store.js';
import { envelopes, schema } from './built.js';
import { type Copy, isInHand, type PartitionModel, stateOf } from './model.js';
import { entryOf, numberOfMember, type Observed, type ObservedEntry } from './observe.js';
import { MOST_PERMITS, permitsOf } from './tasks.js';

const { ENTRY, LETTER, RECORD, STAGE } = schema;

/** Keys that have no TTL for as long as their docket lives; the other ones only while there is work. */
const PERMANENT = new Set<string>([
  ...schema.STREAM_NAMES.map((name) => schema.KEY[name]),
  schema.KEY.generation,
  schema.KEY.strikes,
]);
const WITH_WORK = new Set<string>([
  schema.KEY.schedule,
  schema.KEY.permitsTaken,
  schema.KEY.permits,
  schema.KEY.waiting,
  schema.KEY.wakes,
  schema.KEY.chains,
  schema.KEY.paused,
]);

/** Fails when the two differ. First takes from Redis what the model leaves open: tokens, and who was given free permits. */
export function check(model: PartitionModel, observed: Observed): void {
  learnWakes(model, observed);
  checkEntries(model, observed);
  checkParked(model, observed);
  checkRecords(model, observed);
  checkPermits(model, observed);
  checkLines(model, observed);
  assert.deepEqual(observed.failures.map(({ n }) => n).sort(), [...model.failures].sort(), 'failures that are kept');
  const listed = model.alive.filter(({ isListed }) => isListed).map(({ key }) => key);
  assert.deepEqual([...observed.chains].sort(), listed.sort(), 'the index of chains');
  assert.deepEqual([...observed.superseded].sort(), [...model.superseded].sort(), 'entries remembered as superseded');
  const isKnown = (name: string) =>
    PERMANENT.has(name) || WITH_WORK.has(name) || /^(limit:|parked:|run:|rate:)/.test(name);
  assert.deepEqual(
    observed.permanent.filter((name) => !isKnown(name)),
    [],
    'keys without a TTL',
  );
}

/** What is left when everything has ended. */
export function checkQuiescence(model: PartitionModel, observed: Observed): void {
  assert.deepEqual(
    model.alive.map(({ n, place }) => `${n} ${place.kind}`),
    [],
    'executions that have not ended',
  );
  assert.equal(observed.entries.size, 0, 'entries on the streams');
  assert.deepEqual(
    observed.permanent.filter((name) => !PERMANENT.has(name)),
    [],
    'keys without a TTL after the end',
  );
}

/** Which waiter is given a permit, and where it waits next, is left open: the rules about lines say what may not happen. */
function learnWakes(model: PartitionModel, observed: Observed): void {
  const entries = new Map([...observed.entries.values()].map((entry) => [entry.n, entry]));
  const lines = new Map<number, { readonly line: string; readonly ticket: number }>();
  for (const [line, members] of observed.lines) {
    for (const [member, ticket] of members) lines.set(numberOfMember(observed, member), { line, ticket });
  }
  const before = model.alive.flatMap((copy) => (copy.place.kind === 'waiting' ? [{ copy, place: copy.place }] : []));
  const left = before.filter(({ copy, place }) => {
    if (place.line.startsWith(schema.PAUSE.task)) return false;
    const line = lines.get(copy.n);
    if (line && line.line !== place.line) copy.place = { kind: 'waiting', line: line.line, ticket: place.ticket };
    else if (!line && entries.has(copy.n)) {
      model.move(copy, { kind: 'ready' });
      copy.holdsPermits = true;
      copy.cameWithPermits = true;
    } else return false;
    return true;
  });
  for (const { copy, place } of left) {
    const stayed = before.filter(
      (one) => one.place.line === place.line && !left.includes(one) && one.place.ticket < place.ticket,
    );
    assert.deepEqual(
      stayed.map(({ copy: { n } }) => n),
      [],
      `executions that stood before ${copy.n} at ${place.line}`,
    );
  }
}

function checkEntries(model: PartitionModel, observed: Observed): void {
  const expected = model.alive.filter((copy) => copy.place.kind === 'ready' || isInHand(copy));
  const found = [...observed.entries.values()];
  assert.deepEqual(
    found.map(({ n }) => n).sort(byNumber),
    expected.map(({ n }) => n).sort(byNumber),
    'executions on the streams',
  );
  for (const entry of found) checkEntry(model, model.copies.get(entry.n)!, entry);
}

function checkEntry(model: PartitionModel, copy: Copy, { token, fields, pending }: ObservedEntry): void {
  const about = `execution ${copy.n}`;
  if (copy.token === null) {
    assert.ok(!model.seenTokens.has(token), `${about} has an entry of before: ${token}`);
    model.seenTokens.add(token);
    copy.token = token;
  }
  assert.equal(token, copy.token, `entry of ${about}`);
  const owner = copy.place.kind === 'read' || copy.place.kind === 'running' ? copy.place.worker : null;
  assert.equal(pending?.consumer ?? null, owner, `worker that has ${about}`);
  if (pending) assert.equal(pending.count > 1_000, copy.isAlone, `whether ${about} has the alone mark`);
  assert.equal(fields.get(ENTRY.key) ?? null, copy.isLean ? null : copy.key, `key in the entry of ${about}`);
  assert.equal(Number(fields.get(ENTRY.deliveries) ?? 0), copy.deliveries, `deliveries of ${about}`);
  assert.equal(Number(fields.get(ENTRY.charges) ?? 0), copy.charges, `charges of ${about}`);
  assert.equal(Number(fields.get(ENTRY.reroutes) ?? 0), copy.reroutes, `reroutes of ${about}`);
  assert.equal(Number(fields.get(ENTRY.moves) ?? 0), copy.moves, `moves of ${about}`);
  assert.equal(fields.get(ENTRY.stage) ?? STAGE.new, STAGE[copy.stage], `admission stage of ${about}`);
  assert.equal(fields.has(ENTRY.holdsPermits), copy.cameWithPermits, `whether ${about} came with its permits`);
  copy.isBooked ??= fields.has(ENTRY.booking);
  assert.equal(fields.has(ENTRY.booking), copy.isBooked, `whether ${about} has a booking`);
  const { attempt } = new envelopes.Envelope(Buffer.from(fields.get(ENTRY.message)!, 'latin1'));
  assert.equal(attempt, copy.attempt, `attempt of ${about}`);
  assert.ok(
    isOnStreamOf(copy, token, fields.has(ENTRY.holdsPermits)),
    `${about} of ${copy.priority} priority is at ${token}`,
  );
}

function isOnStreamOf({ priority }: Copy, token: Token, holdsPermits: boolean): boolean {
  const letter = token.slice(0, 1);
  const { front, high, low, work } = schema.STREAM;
  if (priority === 'low') return letter === (holdsPermits ? front : low);
  return letter === front || letter === (priority === 'high' ? high : work);
}

function checkParked(model: PartitionModel, observed: Observed): void {
  const scheduled = [...observed.schedule].map(
    ([member, atMs]) => `${numberOfMember(observed, member)} ${member[0]} ${atMs}`,
  );
  const parked = model.alive.filter(({ place }) => place.kind === 'scheduled' || place.kind === 'waiting');
  const expected = parked.flatMap(({ n, isLean, place }) =>
    place.kind === 'scheduled' ? [`${n} ${isLean ? LETTER.lean : LETTER.recorded} ${place.atMs}`] : [],
  );
  assert.deepEqual(scheduled.sort(), expected.sort(), 'the schedule');
  const lean = parked.filter(({ isLean }) => isLean).map(({ key }) => key);
  assert.deepEqual([...observed.parked.keys()].sort(), lean.sort(), 'messages that are parked without a record');
}

function checkRecords(model: PartitionModel, observed: Observed): void {
  assert.deepEqual([...observed.records.keys()].sort(), [...model.records.keys()].sort(), 'records');
  for (const [key, copy] of model.records) {
    const record = observed.records.get(key)!;
    const about = `the record of ${copy.n}`;
    const state = stateOf(copy);
    assert.equal(record.fields.get(RECORD.state), state, `state in ${about}`);
    const generation = Number(record.fields.get(RECORD.generation));
    if (Number.isNaN(copy.generation)) copy.generation = generation; // the reply did not tell
    assert.equal(generation, copy.generation, `generation in ${about}`);
    assert.equal(entryOf(record), copy.token ?? '', `entry in ${about}`);
    const isAlive = copy.place.kind !== 'gone';
    assert.equal(record.ttlMs === -1, isAlive, `whether ${about} stays for ever`);
    if (isAlive)
      assert.equal(record.fields.has(RECORD.cancelled), copy.isCancelled, `whether ${about} says that it is cancelled`);
    const failedAttempts = (record.fields.get(RECORD.failedAttempts) ?? '').split('\n').filter(Boolean).length;
    assert.equal(failedAttempts, Math.min(copy.failedAttempts, schema.FAILED_ATTEMPTS), `failed attempts in ${about}`);
    if (copy.outcome) {
      assert.equal(record.fields.has(RECORD.result), copy.outcome.hasResult, `result in ${about}`);
      assert.equal(record.fields.has(RECORD.errorLine), copy.outcome.hasError, `error in ${about}`);
    }
    if (isAlive)
      assert.equal(record.fields.has(RECORD.departing), copy.departing !== null, `whether ${about} names a move`);
  }
}

function checkPermits(model: PartitionModel, observed: Observed): void {
  const holders = model.alive.filter(({ holdsPermits, task }) => holdsPermits && permitsOf(task).length > 0);
  const needs = (copy: Copy) =>
    permitsOf(copy.task)
      .map(({ key, max }) => `${key} ${max}`)
      .join(' ');
  assert.deepEqual(
    [...observed.permits].map((pair) => pair.join(': ')).sort(),
    holders.map((copy) => `${copy.token}: ${needs(copy)}`).sort(),
    'who holds permits',
  );
  for (const [limit, most] of Object.entries(MOST_PERMITS)) {
    const taken = Number(observed.taken.get(limit) ?? 0);
    const held = holders.filter(({ task }) => permitsOf(task).some(({ key }) => key === limit)).length;
    assert.equal(taken, held, `permits taken at ${limit}`);
    assert.ok(taken <= most, `${taken} permits are taken at ${limit}, which has ${most}`);
    assert.ok(taken === most || model.line(limit).length === 0, `executions wait at ${limit}, which has free permits`);
  }
  for (const copy of model.alive) {
    const mustHold =
      copy.place.kind === 'running' && !copy.isSuperseded && !copy.isLean && permitsOf(copy.task).length > 0;
    assert.ok(!mustHold || copy.holdsPermits, `${copy.n} runs without its permits`);
  }
}

function checkLines(model: PartitionModel, observed: Observed): void {
  const found = [...observed.lines].flatMap(([line, members]) =>
    [...members].map(([member, ticket]) => `${line}: ${numberOfMember(observed, member)} ${ticket}`),
  );
  const expected = model.alive.flatMap(({ n, place }) =>
    place.kind === 'waiting' ? [`${place.line}: ${n} ${place.ticket}`] : [],
  );
  assert.deepEqual(found.sort(), expected.sort(), 'lines');
  for (const line of observed.lines.keys())
    assert.ok(observed.waiting.has(line), `nobody knows of the line at ${line}`);
  assert.deepEqual([...observed.wakes].sort(), [...model.wakes].sort(), 'lines that a scheduler has to serve');
}

function byNumber(a: number, b: number): number {
  return a - b;
}
