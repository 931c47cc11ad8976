/**
 * Adds work of every shape, as producers do, and keeps what became of each add. What the auditor may expect of an execution is
 * decided here, before anything is known of how it went.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Docket, DocketError, type Execution, perpetual } from 'docket';
import { waitFor } from '../support/wait.js';
import { type Crime, HARMS, type WorkArguments, type WorkResult } from './bodies.js';
import type { Added, Shape, Stopped, Waited } from './history.js';
import { type Random, randomOf } from './random.js';
import { ATTEMPTS, hostile, LANE_MAX, LANES, limited, retried, work } from './tasks.js';

/** How often work is added. */
const TICK_MS = 50;

/** The shapes of mixed work, as often as they come. */
const MIX: readonly Shape[] = [
  ...Array<Shape>(5).fill('plain'),
  ...Array<Shape>(5).fill('fire-and-forget'),
  ...Array<Shape>(3).fill('keyed'),
  ...Array<Shape>(2).fill('delayed'),
  ...Array<Shape>(2).fill('result'),
  ...Array<Shape>(2).fill('repeated'),
  'limited',
  'retried',
  'failing',
  'chain',
  'cancelled',
  'replaced',
];

/** So many executions of one lane are added at once: more than may run at once, and few enough not to wait for long. */
const CROWD = 2 * LANE_MAX;

/** How often long executions are added: few workers have much room. */
const LONG_EVERY_MS = 3_000;

/** How long a body takes that outlasts a lease: only renewals keep it. */
const LASTING_MS = 6_000;

/** Executions that are to be stopped are due so long after their add. */
const STOPPED_DUE_MS = 12_000;

/** How long a body takes that is replaced while it runs, and for how long the producer waits for its start. */
const OVERTAKEN_MS = 3_000;
const STARTS_WITHIN_MS = 30_000;

/** Codes of the errors that say that nothing was written. */
const REFUSALS = new Set(['DOCKET_REDIS_UNAVAILABLE']);

/** Codes of the errors that say that something may have been written. */
const UNCERTAIN = new Set(['DOCKET_ADD_UNCONFIRMED', 'DOCKET_DURABILITY', 'DOCKET_PARTIAL_ADD']);

type Expected = Pick<Added, 'shape'> & Partial<Pick<Added, 'dueMs' | 'runs' | 'attempts' | 'final' | 'harms'>>;

export interface LoadOptions {
  readonly docket: Docket;
  /** Another one on the same data, whose executions keep no state. */
  readonly lean: Docket;
  readonly seed: number;
  /** How long a body takes at most. */
  readonly bodyMs: number;
  /** Whether an attempt of this execution was seen. */
  hasStarted(id: string): boolean;
}

export class Load {
  readonly added: Added[] = [];
  readonly waited: Waited[] = [];
  /** Errors of adds that no producer should see. */
  readonly oddErrors = new Set<string>();
  readonly #docket: Docket;
  readonly #lean: Docket;
  readonly #random: Random;
  readonly #hasStarted: LoadOptions['hasStarted'];
  readonly #bodyMs: number;
  readonly #pending = new Set<Promise<unknown>>();
  /** Those who wait for results. */
  readonly #waits = new Set<Promise<unknown>>();
  readonly #stopping = new AbortController();
  #number = 0;
  #owed = 0;

  constructor({ docket, lean, seed, bodyMs, hasStarted }: LoadOptions) {
    this.#hasStarted = hasStarted;
    this.#docket = docket;
    this.#bodyMs = bodyMs;
    this.#lean = lean;
    this.#random = randomOf(seed);
  }

  /** Adds so many executions a second until it is stopped, except while it must pause; of the mix, or of one shape. */
  async run(
    perSecond: number,
    { shape, mustPause }: { shape?: Shape | undefined; mustPause: () => boolean },
  ): Promise<void> {
    let owed = 0;
    let longMs = Date.now();
    while (!this.#stopping.signal.aborted) {
      if (shape === undefined && Date.now() - longMs >= LONG_EVERY_MS) {
        longMs = Date.now();
        const id = this.#nextId('result');
        this.#track(this.#addAndWait(id, { id, ms: LASTING_MS }));
        this.#track(this.#addOne('overtaken'));
      }
      if (!mustPause()) owed += (perSecond * TICK_MS) / 1_000;
      for (; owed >= 1; owed--) this.#track(this.#addOne(shape ?? this.#random.pick(MIX)));
      await sleep(TICK_MS);
    }
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  stop(): void {
    this.#stopping.abort();
  }

  /** Resolves when every wait for a result has ended. */
  async waitsEnded(): Promise<void> {
    await Promise.all(this.#waits);
  }

  /** How many executions should run or have run. */
  get owedCount(): number {
    return this.#owed;
  }

  /**
   * Adds executions that are all due in one millisecond, so long from now. Returns whether all of them were there
   * before that; if not, whether some were refused, or the last ones came too late.
   */
  async addBurst(count: number, leadMs: number): Promise<'whole' | 'refused' | 'late'> {
    const when = new Date(Date.now() + leadMs);
    let isWhole = true;
    for (let left = count; left > 0; left -= 1_000) {
      const adds = Array.from({ length: Math.min(left, 1_000) }, () => {
        const args = { id: this.#nextId('burst') };
        const adding = this.#docket.add(work, args, { key: args.id, when });
        return this.#keep(args.id, { shape: 'burst', dueMs: when.getTime(), final: 'completed' }, adding);
      });
      const kept = acknowledged(await Promise.all(adds));
      isWhole &&= kept.length === adds.length;
    }
    if (!isWhole) return 'refused';
    return Date.now() < when.getTime() ? 'whole' : 'late';
  }

  /** Adds executions whose bodies take so long, and returns those that were acknowledged. */
  async addLong(count: number, ms: number): Promise<Added[]> {
    const adds = Array.from({ length: count }, () => {
      const id = this.#nextId('long');
      return this.#keep(id, { shape: 'long', final: 'completed' }, this.#docket.add(work, { id, ms }, { key: id }));
    });
    return (await Promise.all(adds)).filter(({ outcome }) => outcome === 'acknowledged');
  }

  /** Whether an add that is made now is refused. */
  async isRefused(): Promise<boolean> {
    const id = this.#nextId('keyed');
    const adding = this.#docket.add(work, this.#argumentsOf(id), { key: id });
    return (await this.#keep(id, { shape: 'keyed', final: 'completed' }, adding)).outcome === 'refused';
  }

  /** Adds executions that only a newer worker can run, and returns the ids of those that were acknowledged. */
  async addNovel(count: number): Promise<string[]> {
    const adds = Array.from({ length: count }, () => {
      const id = this.#nextId('novel');
      const adding = this.#docket.add('novel', { id }, { key: id });
      return this.#keep(id, { shape: 'novel', final: 'completed' }, adding);
    });
    return acknowledged(await Promise.all(adds));
  }

  /** Adds an execution that harms its thread the first time, and returns its id if it was acknowledged. */
  async addHostile(crime: Crime): Promise<string[]> {
    const id = this.#nextId('hostile');
    const harms = HARMS[crime];
    const adding = this.#docket.add(hostile, { id, crime }, { key: id });
    return acknowledged([await this.#keep(id, { shape: 'hostile', attempts: 2, final: 'completed', harms }, adding)]);
  }

  #track(adding: Promise<unknown>): void {
    const tracked: Promise<unknown> = adding.finally(() => this.#pending.delete(tracked));
    this.#pending.add(tracked);
  }

  #nextId(shape: Shape): string {
    this.#number += 1;
    return `${shape}-${this.#number}`;
  }

  async #addOne(shape: Shape): Promise<void> {
    const id = this.#nextId(shape);
    const args = this.#argumentsOf(id);
    const [docket, dueInMs] = [this.#docket, this.#random.between(200, 3_000)];
    const dueMs = Date.now() + dueInMs;
    switch (shape) {
      case 'plain':
        return void (await this.#keep(id, { shape, final: 'completed' }, docket.add(work, args)));
      case 'fire-and-forget':
        return void (await this.#keep(id, { shape }, this.#lean.add(work, args)));
      case 'delayed': {
        const adding = docket.add(work, args, { key: id, when: new Date(dueMs) });
        return void (await this.#keep(id, { shape, dueMs, final: 'completed' }, adding));
      }
      case 'result':
        return await this.#addAndWait(id, args);
      case 'retried':
      case 'failing': {
        const fails = shape === 'failing' ? ATTEMPTS : 1;
        const attempts = shape === 'failing' ? ATTEMPTS : 2;
        const final = shape === 'failing' ? 'failed' : 'completed';
        const adding = docket.add(retried, { ...args, fails }, { key: id });
        return void (await this.#keep(id, { shape, attempts, final }, adding));
      }
      case 'limited':
        return await this.#addCrowd();
      case 'repeated': {
        const add = () => docket.add(work, args, { key: id, once: true });
        const adding = this.#untilDone(async () => (await Promise.all([add(), add()]))[0]);
        await this.#keep(id, { shape, final: 'completed' }, adding);
        await sleep(dueInMs); // by then it runs, or has ended
        return void (await this.#untilDone(add));
      }
      case 'chain': {
        const chained = { key: id, perpetual: perpetual({ every: '400ms' }), times: 3 };
        return void (await this.#keep(id, { shape, runs: 3, final: 'completed' }, docket.add(work, args, chained)));
      }
      case 'cancelled':
        return await this.#addAndCancel(id, args);
      case 'replaced':
      case 'overtaken':
        return await this.#addAndReplace(id, args, shape);
      default: {
        return void (await this.#keep(id, { shape, final: 'completed' }, docket.add(work, args, { key: id })));
      }
    }
  }

  #argumentsOf(id: string): WorkArguments {
    const random = this.#random;
    const spins = random.next() < 0.1;
    const ms = random.between(0, spins ? Math.min(15, this.#bodyMs) : this.#bodyMs);
    return { id, ms, spins, ...(random.next() < 0.03 && { filler: 'x'.repeat(random.between(1_000, 40_000)) }) };
  }

  /** Adds more executions of one lane than may run at once. */
  async #addCrowd(): Promise<void> {
    const lane = this.#random.pick(LANES);
    const adds = Array.from({ length: CROWD }, () => {
      const id = this.#nextId('limited');
      const adding = this.#docket.add(limited, { ...this.#argumentsOf(id), lane }, { key: id });
      return this.#keep(id, { shape: 'limited', final: 'completed' }, adding);
    });
    await Promise.all(adds);
  }

  async #addAndWait(id: string, args: WorkArguments): Promise<void> {
    const [added, execution] = await this.#keepHandle<WorkResult>(
      id,
      { shape: 'result', final: 'completed' },
      this.#docket.add(work, args, { key: id }),
    );
    if (added.outcome !== 'acknowledged') return;
    const waiting = execution!.result({ timeout: '10m' }).then(
      ({ token }) => this.waited.push({ id, token, error: null, atMs: Date.now() }),
      (error: unknown) => this.waited.push({ id, token: null, error: String(error), atMs: Date.now() }),
    );
    this.#waits.add(waiting);
  }

  async #addAndCancel(id: string, args: WorkArguments): Promise<void> {
    const dueMs = Date.now() + STOPPED_DUE_MS;
    const added = await this.#keep(
      id,
      { shape: 'cancelled', dueMs, final: 'completed' },
      this.#docket.add(work, args, { key: id, when: new Date(dueMs) }),
    );
    await sleep(this.#random.between(0, 2_000));
    const { outcome } = await this.#untilDone(() => this.#docket.cancel(id));
    if (outcome !== 'unknown') this.#stopped(added, outcome === 'removed' ? 'cancelled' : 'perhaps');
  }

  /** Replaces what has not started, or what may be running by then. */
  async #addAndReplace(id: string, args: WorkArguments, shape: 'replaced' | 'overtaken'): Promise<void> {
    const isRunning = shape === 'overtaken';
    const dueMs = isRunning ? null : Date.now() + STOPPED_DUE_MS;
    const when = dueMs === null ? {} : { when: new Date(dueMs) };
    const own = isRunning ? { id, ms: OVERTAKEN_MS } : args;
    const first = await this.#keep(id, { shape, dueMs }, this.#docket.add(work, own, { key: id, ...when }));
    if (isRunning) {
      // Replaced before it starts, it would show less, but break nothing.
      await waitFor(() => this.#hasStarted(id), { timeoutMs: STARTS_WITHIN_MS }).catch(() => {});
    } else {
      await sleep(this.#random.between(0, 2_000));
    }
    const next = this.#nextId('replacing');
    const replacing = this.#docket.replace(work, { ...args, id: next }, { key: id });
    const added = await this.#keep(next, { shape: 'replacing', final: 'completed' }, replacing);
    const isCertain = added.outcome === 'acknowledged' && !isRunning;
    if (added.outcome !== 'refused') this.#stopped(first, isCertain ? 'replaced' : 'perhaps');
  }

  #stopped(added: Added, how: Stopped['how']): void {
    if (added.outcome === 'acknowledged') this.#owed -= 1;
    this.added[this.added.indexOf(added)] = { ...added, stopped: { how, settledMs: Date.now() } };
  }

  /** Repeats what may be repeated until it gets an answer. */
  async #untilDone<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof DocketError)) this.oddErrors.add(String(error));
        await sleep(200);
      }
    }
  }

  async #keep(id: string, expected: Expected, adding: Promise<Execution<unknown>>): Promise<Added> {
    return (await this.#keepHandle(id, expected, adding))[0];
  }

  async #keepHandle<R>(
    id: string,
    expected: Expected,
    adding: Promise<Execution<R>>,
  ): Promise<readonly [Added, Execution<R> | null]> {
    const keep = (outcome: Added['outcome'], key: string | null, error: string | null): Added => {
      const settledMs = Date.now();
      const defaults = { dueMs: null, runs: 1, attempts: 1, final: null, stopped: null, harms: null };
      const added: Added = { ...defaults, ...expected, id, key, outcome, error, settledMs };
      this.added.push(added);
      if (outcome === 'acknowledged') this.#owed += 1;
      return added;
    };
    try {
      const execution = await adding;
      return [keep('acknowledged', expected.final === undefined ? null : execution.key, null), execution];
    } catch (error) {
      const code = error instanceof DocketError ? error.code : String(error);
      if (!REFUSALS.has(code) && !UNCERTAIN.has(code)) this.oddErrors.add(code);
      return [keep(REFUSALS.has(code) ? 'refused' : 'uncertain', null, code), null];
    }
  }
}

function acknowledged(added: readonly Added[]): string[] {
  return added.filter(({ outcome }) => outcome === 'acknowledged').map(({ id }) => id);
}
