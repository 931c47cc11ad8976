/**
 * A docket with a server and a worker inside this process, whose clock stands still until a test moves it.
 *
 * Owns the rules of that clock. It moves only while nothing runs and nothing is due, from one due time to the next, so that
 * everything runs at its time, in order. And nothing runs but within a call: each call has a worker of its own, which has ended
 * when the call returns.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { LogLine } from '../channel/protocol.js';
import { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { monotonicMs } from '../core/clock.js';
import { type Duration, toMs } from '../core/duration.js';
import { DocketClosedError, InvalidOptionError, TestTimeoutError } from '../core/errors.js';
import { checkOptionNames, optionNames, shown, wholeNumberOf } from '../core/options.js';
import { startWithClock, stopEmbeddedServer } from '../redis/embedded.js';
import { ManualClock } from '../redis/manual-clock.js';
import { countRecords, type Standing, standingOf, wakeSchedulers } from '../redis/standing.js';
import type { TasksByName } from '../tasks/call.js';
import { collectTasks } from '../tasks/collection.js';
import { type Substitutes, withSubstitutes } from '../tasks/substitute.js';
import { type AnyTask, definitionOf } from '../tasks/task.js';
import { LogRecorder } from './log-recorder.js';
import { checkTimersRun } from './timers.js';

/** Options of `openTestDocket`. */
export interface TestDocketOptions<Tasks extends TasksByName> {
  /** The collection of tasks that run. @default the built-in tasks alone */
  readonly tasks?: Tasks;
  /** Values in place of dependencies, by their names on a context, at any depth. @default what the factories make */
  readonly dependencies?: Substitutes;
  /** The time at which the clock stands first. @default now */
  readonly now?: Date;
  /** Name of the docket. @default 'docket' */
  readonly name?: string;
  /**
   * How long the state and result of an execution are kept after it ends, on the clock of the test. The assertions find what has
   * ended for as long.
   * @default '3650d'
   */
  readonly executionTtl?: Duration;
  /** The number of executions that run at once. @default 1, so that they run in order */
  readonly concurrency?: number;
  /**
   * How long a call may take, in real time.
   * @default '10s'
   */
  readonly timeout?: Duration;
}

const DEFAULTS = {
  name: 'docket',
  executionTtl: '3650d',
  concurrency: 1,
  timeout: '10s',
} as const satisfies TestDocketOptions<{}>;

const OPTION_NAMES = optionNames<TestDocketOptions<{}>>({
  tasks: true,
  dependencies: true,
  now: true,
  name: true,
  executionTtl: true,
  concurrency: true,
  timeout: true,
});

/** The longest pause between two looks at what is left to do. */
const LONGEST_LOOK_MS = 10;

interface Settings {
  readonly server: string;
  readonly name: string;
  readonly clock: ManualClock;
  readonly tasks: ReadonlyMap<string, AnyTask>;
  readonly executionTtlMs: number;
  readonly concurrency: number;
  readonly timeoutMs: number;
}

/**
 * Opens a docket for one test: an embedded server of its own, and a worker that runs when you say so. The clock of the server
 * stands still until you move it. Needs the package `js-redis-server`.
 *
 * @throws InvalidOptionError naming the option that cannot be used
 * @throws RedisUnavailableError when the server cannot start, for example because its package is not installed
 * @throws FakeTimersError when the timers of the process are faked, and nothing advances them
 * @example
 * ```ts
 * const kit = await openTestDocket({ tasks });
 * await kit.docket.add(remind, { orderId: 7 }, { when: '1h' });
 * await kit.advance('1h');
 * await assertTaskCompleted(kit, remind, { args: { orderId: 7 } });
 * await kit.close();
 * ```
 */
export async function openTestDocket<Tasks extends TasksByName = {}>(
  options: TestDocketOptions<Tasks> = {},
): Promise<TestDocket<Tasks>> {
  checkOptionNames(options, OPTION_NAMES, '');
  const { now = new Date(), tasks = {}, dependencies = {} } = options;
  if (!(now instanceof Date)) throw new InvalidOptionError('now', `expected a Date, got ${shown(now)}`);
  const collected = [...collectTasks(tasks, 'TestDocketOptions.tasks').values()];
  const timeoutMs = wholeNumberOf(toMs(options.timeout ?? DEFAULTS.timeout, 'timeout'), 1, 'timeout');
  const settings: Settings = {
    server: `test-${randomUUID()}`,
    name: options.name ?? DEFAULTS.name,
    clock: new ManualClock(now.getTime()),
    tasks: new Map(withSubstitutes(collected, dependencies).map((task) => [task.name, task])),
    executionTtlMs: toMs(options.executionTtl ?? DEFAULTS.executionTtl, 'executionTtl'),
    concurrency: wholeNumberOf(options.concurrency ?? DEFAULTS.concurrency, 1, 'concurrency'),
    timeoutMs,
  };
  await checkTimersRun();
  const docket = new Docket({
    name: settings.name,
    url: `memory://${settings.server}`,
    executionTtl: settings.executionTtlMs,
    ...(options.tasks && { tasks: options.tasks }),
  });
  await startWithClock(settings.server, settings.clock);
  return new TestDocket<Tasks>(docket, settings);
}

/** A docket whose clock stands still, and what runs its work. Made by `openTestDocket`. */
export class TestDocket<Tasks extends TasksByName = {}> {
  /** The docket, as a producer uses it. Executions that are added stay where they are until a call below runs them. */
  readonly docket: Docket<Tasks>;
  readonly #settings: Settings;
  readonly #log = new LogRecorder();
  /** Ends when the calls made so far have ended. */
  #turn: Promise<void> = Promise.resolve();
  #hasSeeded = false;
  #closed: Promise<void> | undefined;

  /** @internal */
  constructor(docket: Docket<Tasks>, settings: Settings) {
    this.docket = docket;
    this.#settings = settings;
  }

  /** Returns the time on the clock of the docket. The clock of the process, `Date.now()`, is another one. */
  now(): Date {
    return new Date(this.#settings.clock.nowMs);
  }

  /** What the tasks have logged with `ctx.logger`, in order; the last 10,000 lines. */
  get logs(): readonly LogLine[] {
    return this.#log.ofTasks;
  }

  /**
   * Runs everything that is due now, and what becomes due without the clock being moved, until nothing of it is left.
   * @throws TestTimeoutError when that takes longer than `timeout`
   * @throws FakeTimersError as `openTestDocket` does, and so do `advance` and `runUntilFinished`
   */
  async runDue(): Promise<void> {
    await this.#run(() => this.#settings.clock.nowMs);
  }

  /**
   * Moves the clock ahead, and runs what is due on the way: delayed executions, retries, the runs of chains. The clock stops at
   * each due time until everything that is due has run.
   * @throws InvalidOptionError when `by` is not a duration
   * @throws TestTimeoutError when that takes longer than `timeout`. The clock stays where it is then
   */
  async advance(by: Duration): Promise<void> {
    const byMs = toMs(by, 'advance');
    await this.#run(() => this.#settings.clock.nowMs + byMs);
  }

  /**
   * Runs until nothing remains, as `Worker.runUntilFinished` does, and moves the clock to each next due time instead of waiting
   * for it. A chain without an end never finishes: use `advance` for it.
   * @throws TestTimeoutError when that takes longer than `timeout`
   */
  async runUntilFinished(): Promise<void> {
    await this.#run(() => Number.POSITIVE_INFINITY);
  }

  /** Ends what runs, closes the docket and ends its server. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    await this.#turn.catch(() => undefined); // its caller has the error
    await this.docket.close();
    await stopEmbeddedServer(this.#settings.server);
  }

  /** One call after the other: two would move the clock under each other's feet. */
  #run(untilMs: () => number): Promise<void> {
    if (this.#closed) return Promise.reject(new DocketClosedError());
    const turn = this.#turn
      .catch(() => undefined)
      .then(checkTimersRun)
      .then(() => this.#runUntil(untilMs()));
    this.#turn = turn;
    turn.catch(() => undefined); // its caller has the error
    return turn;
  }

  async #runUntil(untilMs: number): Promise<void> {
    const { clock } = this.#settings;
    const standing = await this.#standing();
    const hasWork = standing.queued > 0 || isDue(standing, untilMs) || !this.#hasSeeded;
    if (hasWork && !(await this.#isPaused())) await this.#work(untilMs);
    if (Number.isFinite(untilMs)) clock.set(untilMs);
  }

  /** Runs a worker until nothing that is due until then is left. */
  async #work(untilMs: number): Promise<void> {
    const { tasks, concurrency, executionTtlMs, timeoutMs } = this.#settings;
    const { Worker } = await import('../worker/worker.js');
    const deadlineMs = monotonicMs() + timeoutMs;
    const worker = new Worker(this.docket, {
      name: 'test',
      threads: 0,
      tasks: Object.fromEntries(tasks),
      concurrency,
      scheduleAutomaticTasks: !this.#hasSeeded,
      keepArguments: true,
      failureTtl: executionTtlMs,
      history: false, // it is written with each heartbeat, in real time
      drainTimeout: '1s',
      logger: this.#log,
    });
    const running = worker.runForever();
    try {
      await Promise.race([running, this.#steps(untilMs, deadlineMs)]);
    } finally {
      await worker.close();
    }
  }

  /** Moves the clock from one due time to the next. */
  async #steps(untilMs: number, deadlineMs: number): Promise<void> {
    const { clock } = this.#settings;
    await this.#seeded(deadlineMs);
    for (;;) {
      const standing = await this.#idle(deadlineMs);
      if (!isDue(standing, untilMs)) return;
      clock.set(standing.nextDueMs);
      await wakeSchedulers(await this.docket.redis, this.#keys);
    }
  }

  /** Resolves when the chains of automatic tasks have begun, which the first worker does in the background. */
  async #seeded(deadlineMs: number): Promise<void> {
    if (this.#hasSeeded) return;
    const tasks = [...this.#settings.tasks.values()];
    const automatic = tasks
      .filter((task) => definitionOf(task).policies.perpetual?.isAutomatic)
      .map(({ name }) => name);
    const redis = await this.docket.redis;
    await this.#until(deadlineMs, async () => {
      return (await countRecords(redis, this.#keys, automatic)) === automatic.length ? true : null;
    });
    this.#hasSeeded = true;
  }

  /** Resolves when nothing runs and nothing is due at the present time. */
  async #idle(deadlineMs: number): Promise<Standing> {
    return await this.#until(deadlineMs, async () => {
      const standing = await this.#standing();
      return standing.queued > 0 || isDue(standing, this.#settings.clock.nowMs) ? null : standing;
    });
  }

  /** Looks until `look` finds something. */
  async #until<T>(deadlineMs: number, look: () => Promise<T | null>): Promise<T> {
    for (let pauseMs = 1; ; pauseMs = Math.min(2 * pauseMs, LONGEST_LOOK_MS)) {
      const found = await look();
      if (monotonicMs() > deadlineMs) throw new TestTimeoutError(this.#settings.timeoutMs, await this.#left());
      if (found !== null) return found;
      await delay(pauseMs);
    }
  }

  /** Whether the whole docket is paused, so that nothing starts. */
  async #isPaused(): Promise<boolean> {
    return (await this.docket.pauses()).some(({ task }) => task === null);
  }

  async #standing(): Promise<Standing> {
    return await standingOf(await this.docket.redis, this.#keys);
  }

  /** Says what is left to do. */
  async #left(): Promise<string> {
    const found: string[] = [];
    for await (const { task, key, state, when } of this.docket.list({ limit: 5 })) {
      found.push(`${task} (${key}) is ${state}${state === 'scheduled' ? ` for ${when.toISOString()}` : ''}`);
    }
    if (await this.#isPaused()) found.push('the docket is paused');
    const clock = `the clock stands at ${this.now().toISOString()}`;
    return found.length === 0 ? clock : `${found.join(', ')}, and ${clock}`;
  }

  get #keys() {
    return internalsOf(this.docket).settings.keys;
  }
}

function isDue(standing: Standing, atMs: number): standing is Standing & { readonly nextDueMs: number } {
  return standing.nextDueMs !== null && standing.nextDueMs <= atMs;
}
