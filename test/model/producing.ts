/** What producers and operators do: add, replace, cancel, clear, strike, pause, retry of failures. */

import type { Priority } from '../../src/core/priority.js';
import type { Move, PlacementKind } from '../../src/redis/producer-store.js';
import { clientMoves, codec, envelopes, failures, pauses, producers, schema, script, strikes } from './built.js';
import { type Copy, isInHand, type Part, type PartitionModel } from './model.js';
import { type Call, expectReply, type Watermark, type World } from './world.js';

const CHAIN_TEXT = '{"everyMs":10000}';

/** What an add or a replace is about. */
export interface Placing {
  readonly kind: PlacementKind;
  readonly isLean: boolean;
  readonly key: string;
  readonly task: string;
  readonly part: Part;
  readonly home: Part;
  readonly delayMs: number;
  readonly priority: Priority;
  readonly ttlMs: number;
}

/** Returns the message of an execution: its only argument is its number, by which it is recognised everywhere. */
function messageOf(
  n: number,
  { isLean, key, task, ttlMs }: Pick<Placing, 'isLean' | 'key' | 'task' | 'ttlMs'>,
): Buffer {
  const args = [`<${n}>`];
  return envelopes.encodeEnvelope(codec.encoderFor(args, 'args'), task, ttlMs, isLean ? key : null, args);
}

function copyOf(world: World, placing: Placing, n: number, generation: number): Copy {
  const { part, key, isLean, task, priority, ttlMs, home, delayMs } = placing;
  const dueMs = world.nowMs + delayMs;
  return {
    n,
    part,
    key,
    isLean,
    task,
    priority,
    ttlMs,
    home,
    place: delayMs > 0 ? { kind: 'scheduled', atMs: dueMs } : { kind: 'ready' },
    token: null,
    generation,
    placedAs: world.placements++,
    dueMs,
    attempt: 1,
    deliveries: 0,
    charges: 0,
    reroutes: 0,
    moves: 0,
    stage: 'new',
    isBooked: false,
    isAlone: false,
    isExpired: false,
    isCancelled: false,
    isRemembered: false,
    isSuperseded: false,
    holdsPermits: false,
    cameWithPermits: false,
    failedAttempts: 0,
    outcome: null,
    isListed: !isLean && task === 'chain',
    departing: null,
    replacingUntilMs: 0,
  };
}

/** Adds several executions in one call. */
export function add(world: World, part: Part, placings: readonly Placing[]): Call {
  const numbered = placings.map((placing) => ({ placing, n: ++world.executions }));
  return {
    name: `add ${numbered.map(({ placing, n }) => `${n} ${describe(placing)}`).join(', ')}`,
    send: async () => {
      const model = world.model(part);
      const keys = world.keys[part];
      const version = world.strikes[part];
      const isStale = version !== currentVersion(world, part);
      const items = numbered.map(({ placing, n }) => ({
        ...placing,
        message: messageOf(n, placing),
        due: dueOf(placing),
        chain: chainOf(placing),
      }));
      if (numbered[0]!.placing.isLean && numbered[0]!.placing.delayMs === 0) {
        const nowMs = await producers.enqueue(world.redis, keys, items, version);
        expectReply(nowMs, isStale ? null : world.nowMs, 'enqueue');
        if (!isStale) for (const { placing, n } of numbered) model.add(copyOf(world, placing, n, 0));
        return;
      }
      const placed = await producers.schedule(world.redis, keys, items, version);
      expectReply(placed === null, isStale, 'schedule, whether the strikes have changed');
      for (const [i, { isNew, generation }] of (placed ?? []).entries()) {
        const { placing, n } = numbered[i]!;
        const there = placing.kind === 'keyed' || placing.kind === 'once' ? model.records.get(placing.key) : undefined;
        const isTaken = there !== undefined && (there.place.kind !== 'gone' || placing.kind === 'once');
        expectReply(
          { isNew, holder: isTaken && generation },
          { isNew: !isTaken, holder: isTaken && there.generation },
          `add ${n}`,
        );
        if (isNew) model.add(copyOf(world, placing, n, generation));
      }
    },
  };
}

export function replace(world: World, placing: Placing): Call {
  const n = ++world.executions;
  const other: Part = placing.part === 0 ? 1 : 0;
  const { part, key } = placing;
  return {
    name: `replace ${n} ${describe(placing)}`,
    send: async () => {
      const model = world.model(part);
      const about = { ...placing, message: messageOf(n, placing), due: dueOf(placing), chain: chainOf(placing) };
      const terms = { strikes: world.strikes[part], isElsewhere: true };
      const isStale = world.strikes[part] !== currentVersion(world, part);
      const placed = await producers.replace(world.redis, world.keys[part], about, terms);
      expectReply(placed === null, isStale, 'replace, whether the strikes have changed');
      if (placed === null) return;
      const before = model.records.get(key);
      expectReply(placed.move?.name, before?.departing?.name, `replace ${n}, the move of what had the key`);
      if (before && before.place.kind !== 'gone') displace(model, before);
      const copy = copyOf(world, placing, n, placed.generation);
      model.add({ ...copy, replacingUntilMs: world.nowMs + schema.REPLACING_MS });
      if (placed.move) {
        await clientMoves.stopMove(world.partitionAt, key, placed.move);
        vacateByMove(world, key, placed.move);
      }
      const there = world.model(other).records.get(key);
      const wasThere = there !== undefined && there.generation !== placed.generation;
      const removed = await clientMoves.vacateIn(world.partitionAt, world.partitionAt(world.tag(other)), {
        key,
        except: placed.generation,
      });
      expectReply(removed, wasThere, `vacate ${key} for ${n}`);
      if (wasThere) vacateCopy(world, there);
    },
  };
}

/** What stopping a move makes of where it leads. */
function vacateByMove(world: World, key: string, move: Move): void {
  const model = world.model(move.to === '' ? 0 : 1);
  if (model.arrivals.get(move.name) !== 'placed') {
    model.arrivals.set(move.name, 'stopped');
    return;
  }
  const there = model.records.get(key);
  if (there && String(there.generation) === move.generation) vacateCopy(world, there);
}

function vacateCopy(world: World, copy: Copy): void {
  const model = world.model(copy.part);
  if (copy.place.kind !== 'gone') displace(model, copy);
  model.records.delete(copy.key);
  if (copy.departing) vacateByMove(world, copy.key, copy.departing);
}

/** Makes room under a key. Whoever leaves the line of a task that is no longer paused takes the others along. */
function displace(model: PartitionModel, copy: Copy): void {
  const { place } = copy;
  model.displace(copy);
  if (place.kind === 'waiting') serveLine(model, place.line);
}

/** Serves the line of a task, unless that is paused. */
export function serveLine(model: PartitionModel, line: string): void {
  if (!line.startsWith(schema.PAUSE.task) || model.pausedTasks.has(line.slice(1))) return;
  for (const { copy } of model.line(line)) model.move(copy, { kind: 'ready' });
}

/** Cancels an execution by its key or id. One without a record may be looked for as the entry as which a listing shows it. */
export function cancel(world: World, copy: Copy, isSeen: boolean): Call {
  const { part, key } = copy;
  return {
    name: `cancel ${copy.n} (${key})${isSeen ? ', as it is seen' : ''}`,
    send: async () => {
      const latest = world.model(part).copies.get(copy.n)!;
      const seenAs = isSeen && copy.isLean && latest.token ? latest.token : '';
      const expected = cancelledAt(world, part, key, { seenAs, isStopped: false });
      const cancelled = await clientMoves.cancelIn(world.partitionAt, world.partitionAt(world.tag(part)), {
        key,
        seenAs,
      });
      expectReply(cancelled?.outcome, expected, `cancel ${key}`);
    },
  };
}

function cancelledAt(
  world: World,
  part: Part,
  key: string,
  { seenAs, isStopped }: { readonly seenAs: string; readonly isStopped: boolean },
): string {
  const model = world.model(part);
  const copy = model.records.get(key);
  if (!copy) return cancelLean(world, model, key, seenAs);
  if (copy.place.kind === 'gone') return 'ended';
  if (copy.place.kind === 'running') {
    copy.isCancelled = true;
    copy.isListed = false;
    return 'stopping';
  }
  if (copy.departing && !isStopped) {
    const outcome = cancelArriving(world, key, copy.departing);
    return outcome === 'removed' ? cancelledAt(world, part, key, { seenAs, isStopped: true }) : outcome;
  }
  const { place } = copy;
  model.end(copy, 'cancelled');
  if (place.kind === 'waiting') serveLine(model, place.line);
  return 'removed';
}

/** What the cancel of an execution that moves makes of it where its move leads. One without a record has no generation. */
export function cancelArriving(world: World, key: string, move: Move): string {
  const part: Part = move.to === '' ? 0 : 1;
  const model = world.model(part);
  if (model.arrivals.get(move.name) !== 'placed') {
    model.arrivals.set(move.name, 'stopped');
    return 'removed';
  }
  const isAnother = move.generation !== '' && String(model.records.get(key)?.generation ?? '') !== move.generation;
  if (isAnother) return 'unknown';
  return cancelledAt(world, part, key, { seenAs: '', isStopped: false });
}

function cancelLean(world: World, model: PartitionModel, key: string, seenAs: string): string {
  const copy = model.alive.find((one) => one.isLean && one.key === key);
  const wasInHand = copy && isInHand(copy);
  if (
    copy &&
    (copy.place.kind === 'scheduled' || copy.place.kind === 'waiting' || (copy.token === seenAs && !wasInHand))
  ) {
    const { place } = copy;
    model.end(copy, 'cancelled');
    if (place.kind === 'waiting') serveLine(model, place.line);
    return 'removed';
  }
  if (world.observed[model.part]!.entries.size > 0 && copy) copy.isRemembered = true;
  return copy && seenAs === copy.token ? 'stopping' : 'unknown';
}

export function drawWatermark(world: World, part: Part): Call {
  return {
    name: `draw a line to clear ${part}`,
    send: async () => {
      const keys = world.keys[part];
      const reply = (await script.runScript(world.redis, 'watermark', [keys.work], [keys.prefix])) as Buffer[];
      const [generation, ...lastIds] = reply.map(String);
      world.watermarks.push({
        part,
        generation: generation!,
        lastIds: lastIds.join(' '),
        placedAs: world.placements++,
      });
    },
  };
}

/** Clears one page: a stream by its letter, the schedule (''), or a line. */
export function clearPage(world: World, watermark: Watermark, page: string): Call {
  const { part, generation, lastIds, placedAs } = watermark;
  const keys = world.keys[part];
  const isStream = page in schema.STREAM_KEYS;
  const names = [keys.work, keys.front, keys.schedule];
  const common = [keys.prefix, generation, lastIds, page];
  const most = schema.BATCH_ITEMS;
  return {
    name: `clear ${page || 'the schedule'} of ${part}`,
    send: async () => {
      const model = world.model(part);
      // One without a record is dated by its first entry, in another partition: it may be missed where it arrives meanwhile.
      if (model.alive.some(({ isLean, moves }) => isLean && moves > 0)) return;
      const cleared = model.alive.filter((copy) => {
        const { place, isLean, isSuperseded } = copy;
        if (copy.placedAs >= placedAs || isSuperseded) return false;
        if (!isStream)
          return page === '' ? place.kind === 'scheduled' : place.kind === 'waiting' && place.line === page;
        return copy.token?.startsWith(page) === true && (place.kind === 'ready' || (place.kind === 'read' && !isLean));
      });
      const reply = isStream
        ? await script.runScript(world.redis, 'clear-queued', names, [...common, '-', '+', most])
        : await script.runScript(world.redis, 'clear-parked', names, [...common, most, '', 0]);
      const [count, ...rest] = reply as [number, ...unknown[]];
      const leaving = cleared.filter((copy) => copy.departing !== null);
      const removed = cleared.filter((copy) => copy.departing === null);
      expectReply(count, removed.length, `clear ${page}`);
      const departures = (rest.at(-1) as Buffer[]).map(String);
      expectReply(departures.length / 3, leaving.length, `clear ${page}, those that move`);
      for (const copy of removed) model.end(copy, 'cancelled');
      if (removed.length > 0 && !isStream) serveLine(model, page);
      for (let at = 0; at < departures.length; at += 3) {
        const key = departures[at]!;
        const move = producers.moveIn(departures[at + 1], departures[at + 2])!;
        const expected = clearArriving(world, key, move) && clearHere(world, part, key, move);
        const from = world.partitionAt(world.tag(part));
        const wasRemoved = await clientMoves.clearMovingFrom(world.partitionAt, from, key, move);
        expectReply(wasRemoved, expected, `clear ${key}, which moves`);
      }
    },
  };
}

/** Clears an execution where its move leads. Returns whether it will not run there. */
function clearArriving(world: World, key: string, move: Move): boolean {
  const part: Part = move.to === '' ? 0 : 1;
  const model = world.model(part);
  if (model.arrivals.get(move.name) !== 'placed') {
    model.arrivals.set(move.name, 'stopped');
    return true;
  }
  return clearHere(world, part, key, move);
}

/** Clears an execution where it is, unless it has started, or goes on to where it has started. */
function clearHere(world: World, part: Part, key: string, stopped: Move): boolean {
  const model = world.model(part);
  const copy = model.records.get(key);
  if (!copy || String(copy.generation) !== stopped.generation) return false;
  const { place, departing } = copy;
  if (place.kind === 'gone' || place.kind === 'running') return false;
  if (departing && departing.name !== stopped.name && !clearArriving(world, key, departing)) return false;
  model.end(copy, 'cancelled');
  if (place.kind === 'waiting') serveLine(model, place.line);
  return true;
}

/** Strikes a task or restores it. Producers of the model learn of it with the next `followStrikes`. */
export function strike(world: World, part: Part, isStrike: boolean): Call {
  const field = '{"task":"struck"}';
  return {
    name: `${isStrike ? 'strike' : 'restore'} in ${part}`,
    send: async () => {
      const had = world.struck[part] !== null;
      const target = { field } as Parameters<typeof strikes.addStrike>[2];
      if (isStrike) await strikes.addStrike(world.redis, world.keys[part], target);
      else expectReply(await strikes.removeStrike(world.redis, world.keys[part], target), had, 'restore');
      const version = (await world.redis.hget(world.keys[part].strikes, schema.STRIKES.version)) ?? '';
      const hasChanged = had !== isStrike;
      expectReply(version !== world.versions[part], hasChanged, 'whether the version of the strikes changed');
      world.versions[part] = version;
      world.struck[part] = isStrike ? field : null;
    },
  };
}

/** A producer loads the strikes. */
export function followStrikes(world: World, part: Part): Call {
  return {
    name: `load the strikes of ${part}`,
    send: async () => {
      world.strikes[part] = world.versions[part];
    },
  };
}

function currentVersion(world: World, part: Part): string {
  return world.versions[part];
}

export function pause(world: World, part: Part, task: string): Call {
  return {
    name: `pause ${task} in ${part}`,
    send: async () => {
      expectReply(await pauses.addPause(world.redis, world.keys[part], { task, reason: '' }), true, 'pause');
      world.model(part).pausedTasks.add(task);
    },
  };
}

export function resume(world: World, part: Part, task: string): Call {
  return {
    name: `resume ${task} in ${part}`,
    send: async () => {
      const model = world.model(part);
      const removed = await pauses.removePauses(world.redis, world.keys[part], task, null);
      expectReply(removed, model.pausedTasks.delete(task) ? 1 : 0, 'resume');
      if (model.line(pauses.lineOf(task)).length > 0) model.wakes.add(pauses.lineOf(task));
    },
  };
}

/** Retries the failures of one partition. */
export function retryFailures(world: World, part: Part): Call {
  const kept = world.observed[part]!.failures;
  return {
    name: `retry the failures ${kept.map(({ n }) => n).join(', ')} of ${part}`,
    send: async () => {
      const model = world.model(part);
      const isStale = world.strikes[part] !== currentVersion(world, part);
      const ids = kept.map(({ id }) => id);
      const reply = await failures.retryFailures(world.redis, world.keys[part], ids, world.strikes[part]);
      expectReply(reply === null, isStale, 'retry, whether the strikes have changed');
      const present = new Set(world.observed[part]!.failures.map(({ id }) => id));
      for (const [i, result] of (reply ?? []).entries()) {
        const { id, n } = kept[i]!;
        const failed = model.copies.get(n)!;
        const isTaken = failed.isLean ? isParked(model, failed.key) : model.holder(failed.key) !== undefined;
        expectReply(result, !present.has(id) ? 'missing' : isTaken ? 'taken' : 'retried', `retry of ${n}`);
        if (result !== 'retried') continue;
        model.failures.splice(model.failures.indexOf(n), 1);
        const copy = copyOf(world, { ...failed, kind: 'keyed', delayMs: 0 }, n, failed.isLean ? 0 : Number.NaN);
        copy.isListed = false; // a chain is noted when a run of it ends
        model.add(copy);
      }
    },
  };
}

/** Whether the next run of a lean chain waits under this id. */
function isParked(model: PartitionModel, id: string): boolean {
  return model.alive.some(
    ({ isLean, key, place }) => isLean && key === id && (place.kind === 'scheduled' || place.kind === 'waiting'),
  );
}

function dueOf({ delayMs }: Placing) {
  return delayMs > 0 ? { delayMs } : null;
}

function chainOf({ isLean, task }: Placing): string | null {
  return !isLean && task === 'chain' ? CHAIN_TEXT : null;
}

function describe({ kind, key, task, part, home, delayMs, priority, ttlMs }: Placing): string {
  const about = [kind, key, task, `in ${part}`];
  if (home !== part) about.push(`belongs in ${home}`);
  if (delayMs > 0) about.push(`in ${delayMs} ms`);
  if (priority !== 'normal') about.push(priority);
  if (ttlMs === 0) about.push('ttl 0');
  return about.join(' ');
}
