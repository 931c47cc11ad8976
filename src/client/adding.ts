/**
 * Adds the executions of one docket: `add`, `addMany`, `replace`. A call is checked and encoded, routed to a partition, and
 * written there. It is routed again when the partitions have changed meanwhile. A call that may go to any partition is also routed
 * again when its partition cannot be reached.
 */
import {
  AddUnconfirmedError,
  DocketClosedError,
  ExecutionNotFoundError,
  ExecutionSupersededError,
  InvalidOptionError,
  PartialAddError,
  RedisUnavailableError,
} from '../core/errors.js';
import { checkKey } from '../core/execution-key.js';
import { checkOptionNames, optionNames } from '../core/options.js';
import type { Placed } from '../redis/producer-store.js';
import type { AddOptions, Call, CallByName, ReplaceOptions } from '../tasks/call.js';
import type { Execution } from '../tasks/execution.js';
import { OVERRIDE_NAMES } from '../tasks/overrides.js';
import type { AnyTask } from '../tasks/task.js';
import type { Tracer } from '../tracing/tracing.js';
import { addedExecution } from './added-execution.js';
import { type CallSpans, spanName } from './call-spans.js';
import type { ExecutionHandle } from './execution.js';
import { type Existing, findExisting } from './existing-elsewhere.js';
import { LayoutChanged } from './layout-changed.js';
import { stopMove, vacateIn } from './moves.js';
import type { ProducerSettings } from './options.js';
import type { Partition } from './partition.js';
import type { Partitions } from './partitions.js';
import type { PlacementWatchers } from './placement-watchers.js';
import type { CallPreparer, PreparedCall } from './prepare.js';
import type { Destination } from './routes.js';
import { StruckCall } from './strike-filter.js';
import { checkDurability, FailedCall, type PlacementResult } from './writer.js';

export const REPLACE_OPTIONS = optionNames<ReplaceOptions>({
  key: true,
  when: true,
  priority: true,
  ...OVERRIDE_NAMES,
});

export const CALL_PARTS = optionNames<Call<unknown>>({ task: true, args: true, options: true });

export interface AdderOptions {
  readonly settings: ProducerSettings;
  readonly partitions: Partitions;
  readonly preparer: CallPreparer;
  readonly spans: CallSpans;
  readonly watchers: PlacementWatchers;
  /** Throws when the docket is closed. */
  readonly checkOpen: () => void;
}

/** The results of calls, and the partitions where they were written. */
interface Written {
  readonly results: readonly (PlacementResult | FailedCall)[];
  /** Returns the partition of the call with this index. */
  readonly partitionOf: (index: number) => Partition;
}

/** The result of one call, and the partition where its execution is. */
interface PlacedAt {
  readonly result: PlacementResult;
  readonly partition: Partition;
}

export class Adder {
  readonly #settings: ProducerSettings;
  readonly #partitions: Partitions;
  readonly #preparer: CallPreparer;
  readonly #spans: CallSpans;
  readonly #watchers: PlacementWatchers;
  readonly #checkOpen: () => void;

  constructor({ settings, partitions, preparer, spans, watchers, checkOpen }: AdderOptions) {
    this.#settings = settings;
    this.#partitions = partitions;
    this.#preparer = preparer;
    this.#spans = spans;
    this.#watchers = watchers;
    this.#checkOpen = checkOpen;
  }

  add(
    task: AnyTask | string,
    args: object | undefined,
    options: AddOptions | undefined,
  ): Promise<ExecutionHandle<unknown>> {
    const tracer = this.#spans.tracer();
    // Thousands of calls may wait at once, so each has one asynchronous function only.
    return tracer === null ? this.#add(task, args, options) : this.#addTraced(tracer, task, args, options);
  }

  async addMany(calls: Iterable<Call<unknown> | CallByName>): Promise<Execution<unknown>[]> {
    const found = this.#spans.tracer();
    const tracer = found instanceof Promise ? await found : found;
    if (!tracer) return await this.#addMany(calls);
    // One span for the whole batch: thousands of spans would show nothing more.
    const attributes = this.#spans.attributes({});
    return await tracer.produce('docket.addMany', 'producer', attributes, async (headers, span) => {
      const handles = await this.#addMany(calls, headers);
      span.set({ 'docket.count': handles.length });
      return handles;
    });
  }

  async replace(task: AnyTask | string, args: unknown, options: ReplaceOptions): Promise<Execution<unknown>> {
    checkKey(options?.key);
    checkOptionNames(options, REPLACE_OPTIONS, '');
    const { key } = options;
    return await this.#spans.run('replace', 'producer', { task, key }, async (headers) => {
      const call = await this.#preparer.prepare(task, args, options, headers);
      const { result, partition } = await this.#replace(call);
      this.#watchers.report('replaced', call, result);
      const handle = addedExecution(call, result, partition.source);
      checkDurability(this.#settings, [handle], [result]);
      return handle;
    });
  }

  async #addTraced(
    loading: Tracer | Promise<Tracer | null>,
    task: AnyTask | string,
    args: object | undefined,
    options: AddOptions | undefined,
  ): Promise<ExecutionHandle<unknown>> {
    this.#checkOpen();
    const tracer = await loading;
    if (!tracer) return await this.#add(task, args, options);
    const attributes = this.#spans.attributes({ task });
    return await tracer.produce(spanName('add', task), 'producer', attributes, async (headers, span) => {
      const handle = await this.#add(task, args, options, headers);
      span.set({ 'docket.key': handle.key, 'docket.disposition': handle.disposition });
      return handle;
    });
  }

  async #add(
    task: AnyTask | string,
    args: object | undefined,
    options: AddOptions | undefined,
    headers: string | null = null,
  ): Promise<ExecutionHandle<unknown>> {
    this.#checkOpen();
    const preparing = this.#preparer.prepare(task, args, options, headers);
    const call = preparing instanceof Promise ? await preparing : preparing;
    const destination = this.#partitions.routes.pick(call);
    let { partition } = destination;
    if (call.kind === 'unique' && call.due === null) partition.listener.expect(call.key); // before it can end
    let result: PlacementResult;
    try {
      if (call.kind === 'once') ({ result, partition } = await this.#addTo(destination, call));
      else result = await destination.writer.add(call);
    } catch (error) {
      ({ result, partition } = await this.#placeAfter(error, { call, failed: destination, failures: 1 }, (other) =>
        this.#addTo(other, call),
      ));
    }
    this.#watchers.report('added', call, result);
    const handle = addedExecution(call, result, partition.source);
    const reading = readExisting(handle);
    if (reading) await reading;
    checkDurability(this.#settings, [handle], [result]);
    return handle;
  }

  async #addMany(
    calls: Iterable<Call<unknown> | CallByName>,
    headers: string | null = null,
  ): Promise<Execution<unknown>[]> {
    const prepared: PreparedCall[] = [];
    for (const one of calls) {
      checkOptionNames(one, CALL_PARTS, 'call.');
      const { task, args, options } = one;
      const preparing = this.#preparer.prepare(task, args, options, headers);
      prepared.push(preparing instanceof Promise ? await preparing : preparing);
    }
    const { results, partitionOf } = await this.#writeAll(prepared);
    const handles = prepared.map((call, i) => {
      const result = results[i]!;
      if (result instanceof FailedCall) return null;
      this.#watchers.report('added', call, result);
      return addedExecution(call, result, partitionOf(i).source);
    });
    const placed = results.filter((result): result is PlacementResult => !(result instanceof FailedCall));
    if (placed.length < results.length) throw errorOfMany(prepared, handles, results);
    await Promise.all(handles.map((handle) => readExisting(handle!)).filter((reading) => reading !== null));
    checkDurability(this.#settings, handles as Execution<unknown>[], placed);
    return handles as Execution<unknown>[];
  }

  /** Adds a call, unless it is a `once` call whose key has an execution in another partition. */
  async #addTo(destination: Destination, call: PreparedCall): Promise<PlacedAt> {
    const { partition, writer } = destination;
    const existing = await findExisting(call, partition, this.#partitions.known);
    return existing ?? { result: await writer.add(call), partition };
  }

  /** Writes calls to their partitions, all at once. */
  async #writeAll(calls: readonly PreparedCall[]): Promise<Written> {
    const { routes, known } = this.#partitions;
    const only = known.length === 1 ? routes.only : null;
    if (!only) return await this.#writeToMany(calls, new Array<FailedCall>(calls.length).fill(UNROUTED), []);
    const results = await only.writer.addMany(calls);
    const isOutdated = results.some((one) => one instanceof FailedCall && one.error instanceof LayoutChanged);
    if (!isOutdated) return { results, partitionOf: () => only.partition };
    return await this.#writeToMany(calls, results, new Array<Destination>(calls.length).fill(only));
  }

  /** Writes the calls that have failed, as long as they may be written to some partition. */
  async #writeToMany(
    calls: readonly PreparedCall[],
    results: (PlacementResult | FailedCall)[],
    destinations: Destination[],
  ): Promise<Written> {
    const found = new Map<number, Existing>();
    for (let failures = 1; ; failures++) {
      const groups = new Map<Destination, number[]>();
      for (const [i, result] of results.entries()) {
        if (!(result instanceof FailedCall)) continue;
        const destination = this.#otherDestination(result.error, {
          call: calls[i]!,
          failed: destinations[i]!,
          failures,
        });
        if (destination === null) continue;
        destinations[i] = destination;
        const group = groups.get(destination);
        if (group) group.push(i);
        else groups.set(destination, [i]);
      }
      if (groups.size === 0) {
        return { results, partitionOf: (i) => found.get(i)?.partition ?? destinations[i]!.partition };
      }
      const sent = [...groups].map(async ([destination, indexes]) => {
        const unwritten = calls.some(isOnce)
          ? await this.#takeExisting({ calls, results, found }, indexes, destination)
          : indexes;
        const written = await destination.writer.addMany(unwritten.map((i) => calls[i]!));
        for (const [at, i] of unwritten.entries()) results[i] = written[at]!;
      });
      await Promise.all(sent);
    }
  }

  /** Sets the results of calls whose keys have executions in other partitions. Returns the indexes of the calls that are left. */
  async #takeExisting(
    { calls, results, found }: Search,
    indexes: readonly number[],
    destination: Destination,
  ): Promise<number[]> {
    const all = this.#partitions.known;
    const look = async (i: number) => {
      try {
        const existing = await findExisting(calls[i]!, destination.partition, all);
        if (existing === null) return true;
        found.set(i, existing);
        results[i] = existing.result;
      } catch (error) {
        results[i] = new FailedCall(error);
      }
      return false;
    };
    const mayBeWritten = await Promise.all(indexes.map(look));
    return indexes.filter((_, at) => mayBeWritten[at]);
  }

  /** Replaces the execution under the key in the partition of the call, then removes those under the key in other partitions. */
  async #replace(call: PreparedCall): Promise<PlacedAt> {
    const replace = async ({ writer, partition }: Destination) => {
      const isElsewhere = this.#partitions.known.length > 1;
      return { result: await writer.replace(call, isElsewhere), partition };
    };
    const failed = this.#partitions.routes.pick(call);
    const placed = await replace(failed).catch((error: unknown) =>
      this.#placeAfter(error, { call, failed, failures: 1 }, replace),
    );
    const { result, partition } = placed;
    if (!(result instanceof StruckCall)) await this.#vacateOthers(call.key, result, partition);
    return placed;
  }

  /** Removes all other executions under the key of one that was placed in `partition`. */
  async #vacateOthers(key: string, { generation, move }: Placed, partition: Partition): Promise<void> {
    const at = (tag: string) => this.#partitions.at(tag);
    if (move) await stopMove(at, key, move);
    const others = this.#partitions.known.filter((other) => other !== partition);
    if (others.length === 0) return;
    const vacate = () => Promise.all(others.map((other) => vacateIn(at, other, { key, except: generation })));
    const wasThere = await vacate();
    if (wasThere.includes(true)) return;
    // A worker may have moved it from a partition that was asked later to one that was asked before.
    await Promise.all([vacate(), vacateIn(at, partition, { key, before: generation })]);
  }

  /**
   * Writes a call again that has failed, if it may be written to another partition.
   * @throws the last error
   */
  async #placeAfter(
    error: unknown,
    failure: Failure,
    write: (destination: Destination) => Promise<PlacedAt>,
  ): Promise<PlacedAt> {
    const destination = this.#otherDestination(error, failure);
    if (destination === null) throw error;
    try {
      return await write(destination);
    } catch (next) {
      return await this.#placeAfter(next, { ...failure, failed: destination, failures: failure.failures + 1 }, write);
    }
  }

  #otherDestination(error: unknown, { call, failed, failures }: Failure): Destination | null {
    const { routes } = this.#partitions;
    if (error instanceof LayoutChanged) return routes.pick(call);
    return error instanceof RedisUnavailableError ? routes.pickInstead(call, failed, failures) : null;
  }
}

interface Failure {
  readonly call: PreparedCall;
  readonly failed: Destination;
  /** How often the call has failed, this time included. */
  readonly failures: number;
}

/** The calls of one `addMany`, their results so far, and the executions that exist already. */
interface Search {
  readonly calls: readonly PreparedCall[];
  readonly results: (PlacementResult | FailedCall)[];
  readonly found: Map<number, Existing>;
}

const isOnce = ({ kind }: PreparedCall) => kind === 'once';

/** The result of a call that has not been sent. */
const UNROUTED = new FailedCall(new LayoutChanged());

/** Returns the error of an `addMany` in which calls failed: that of the first one if nothing can have been written. */
function errorOfMany(
  calls: readonly PreparedCall[],
  handles: readonly (Execution<unknown> | null)[],
  results: readonly (PlacementResult | FailedCall)[],
): unknown {
  const unconfirmed: string[] = [];
  const unwritten: string[] = [];
  let cause: unknown;
  for (const [i, result] of results.entries()) {
    if (!(result instanceof FailedCall)) continue;
    const { error } = result;
    cause ??= error;
    (error instanceof AddUnconfirmedError ? unconfirmed : unwritten).push(calls[i]!.key);
  }
  if (unwritten.length === calls.length) return cause;
  return new PartialAddError(handles, { unconfirmed, unwritten }, { cause });
}

/** Reads the execution that an `add` found under its key: the handle shows that execution, not the call. */
function readExisting(handle: ExecutionHandle<unknown>): Promise<void> | null {
  if (handle.disposition === 'scheduled') return null;
  return handle.sync().catch((error: unknown) => {
    const isOver = error instanceof ExecutionNotFoundError || error instanceof ExecutionSupersededError;
    if (!isOver && !(error instanceof DocketClosedError)) throw error;
  });
}

/** @throws InvalidOptionError when `addMany` was given more than calls */
export function checkCallsOnly(rest: readonly unknown[]): void {
  if (rest.length === 0) return;
  throw new InvalidOptionError('addMany', 'takes calls only: give options to each call(task, args, options)');
}
