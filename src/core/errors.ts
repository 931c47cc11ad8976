/**
 * Every error docket throws: typed, with a stable `code` and a message that says what happened and what to do.
 *
 * Each class spells out its `name`: a minifier renames classes, and errors travel by their names.
 */

/** The page that has a section for each code. A test checks that it has. */
const TROUBLESHOOTING = 'https://github.com/docket-ts/docket/blob/main/docs/troubleshooting.md';

/** The base class of all errors that docket throws. */
export abstract class DocketError extends Error {
  /** Stable across versions, such as `DOCKET_TIMEOUT`. */
  abstract readonly code: string;
  /** Link to the section of the documents about this code: what it means, why it happens, and what to do. */
  get url(): string {
    return `${TROUBLESHOOTING}#${this.code.toLowerCase()}`;
  }
  override get name(): string {
    return this.constructor.name;
  }
}

/** A duration, date, key, name, URL or other option is not valid. Nothing was written. */
export class InvalidOptionError extends DocketError {
  readonly code = 'DOCKET_INVALID_OPTION';
  override get name() {
    return 'InvalidOptionError';
  }
  constructor(
    /** Name of the option, such as `retry.delay`. */
    readonly option: string,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`${option}: ${problem}`, options);
  }
}

/** Arguments or a result hold something that cannot be encoded, such as a function or an instance of a class. */
export class UnencodableValueError extends DocketError {
  readonly code = 'DOCKET_UNENCODABLE_VALUE';
  override get name() {
    return 'UnencodableValueError';
  }
  constructor(
    /** Path to the value, such as `args.user.onDone`. */
    readonly path: string,
    problem: string,
  ) {
    super(`${path} ${problem}`);
  }
}

/** Bytes that came from Redis or from a thread are not a value that docket wrote. */
export class UndecodableValueError extends DocketError {
  readonly code = 'DOCKET_UNDECODABLE_VALUE';
  override get name() {
    return 'UndecodableValueError';
  }
}

/** The encoded arguments are larger than the docket's `maxPayloadBytes`. Nothing was written. */
export class PayloadTooLargeError extends DocketError {
  readonly code = 'DOCKET_PAYLOAD_TOO_LARGE';
  override get name() {
    return 'PayloadTooLargeError';
  }
  constructor(
    readonly task: string,
    readonly bytes: number,
    readonly limit: number,
  ) {
    super(
      `the arguments of '${task}' take ${bytes} bytes, the limit is ${limit}: store the data elsewhere and pass a reference, or raise maxPayloadBytes`,
    );
  }
}

/**
 * The encoded result of a task is larger than the docket's `maxPayloadBytes`. The attempt failed and is not retried.
 */
export class ResultTooLargeError extends DocketError {
  readonly code = 'DOCKET_RESULT_TOO_LARGE';
  override get name() {
    return 'ResultTooLargeError';
  }
  constructor(
    readonly task: string,
    readonly bytes: number,
    readonly limit: number,
  ) {
    super(
      `the result of '${task}' takes ${bytes} bytes, the limit is ${limit}: store it elsewhere and return a reference, or raise maxPayloadBytes`,
    );
  }
}

/** Two tasks have the same name. Names must be unique, because workers find tasks by them. */
export class DuplicateTaskError extends DocketError {
  readonly code = 'DOCKET_DUPLICATE_TASK';
  override get name() {
    return 'DuplicateTaskError';
  }
  constructor(
    readonly task: string,
    where: string,
  ) {
    super(`two tasks are named '${task}' (${where}): rename one of them, because workers find tasks by their names`);
  }
}

/** No task of this name is registered here. */
export class TaskNotFoundError extends DocketError {
  readonly code = 'DOCKET_TASK_NOT_FOUND';
  override get name() {
    return 'TaskNotFoundError';
  }
  constructor(
    readonly task: string,
    known: readonly string[],
  ) {
    super(
      `no task is named '${task}'${known.length > 0 ? ` (known tasks: ${known.slice(0, 20).join(', ')})` : ''}: add it to the collection or correct the name`,
    );
  }
}

/** A task module could not be imported, or does not export what it should. */
export class TaskModuleError extends DocketError {
  readonly code = 'DOCKET_TASK_MODULE';
  override get name() {
    return 'TaskModuleError';
  }
  constructor(
    /** The reference that was given, such as `./tasks.js:tasks`. */
    readonly reference: string,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`task module '${reference}': ${problem}`, options);
  }
}

/** A worker with threads was given tasks as values. They can reach threads by a module reference only. */
export class ModuleReferenceRequiredError extends DocketError {
  readonly code = 'DOCKET_MODULE_REFERENCE_REQUIRED';
  override get name() {
    return 'ModuleReferenceRequiredError';
  }
  constructor(readonly option: string) {
    super(
      `${option}: task values cannot be sent to worker threads. Export the collection from a module and pass its path or URL ('./tasks.js' or './tasks.js:name'), or set threads to 0`,
    );
  }
}

/** Redis cannot be reached, refused the credentials, or lacks something that docket needs. */
export class RedisUnavailableError extends DocketError {
  readonly code = 'DOCKET_REDIS_UNAVAILABLE';
  override get name() {
    return 'RedisUnavailableError';
  }
}

/**
 * The connection was lost before Redis confirmed an `add`. The execution may or may not have been written. Without
 * `once`, adding it again under its key changes nothing while the first is unfinished, but runs it again when it has
 * ended. With `executionTtl: 0` nothing remembers that it has ended, so `once` is refused there.
 */
export class AddUnconfirmedError extends DocketError {
  readonly code = 'DOCKET_ADD_UNCONFIRMED';
  override get name() {
    return 'AddUnconfirmedError';
  }
  constructor(
    /** Its key, also when it was generated: `docket.getExecution(key)` tells whether it was written. */
    readonly key: string,
    options?: ErrorOptions,
  ) {
    super(
      `Redis did not confirm the add of '${key}', so it may or may not have been written: adding it again under this key with once: true does not run it twice`,
      options,
    );
  }
}

/** Redis did not confirm all calls of an `addMany`. Some of the others may have been written. */
export class PartialAddError<E = unknown> extends DocketError {
  readonly code = 'DOCKET_PARTIAL_ADD';
  override get name() {
    return 'PartialAddError';
  }
  /** Keys of the executions that may or may not have been written: the connection was lost before the reply. */
  readonly unconfirmed: readonly string[];
  /** Keys of the executions that were not written: Redis refused them, or they had not been sent yet. */
  readonly unwritten: readonly string[];
  constructor(
    /** The executions in order; `null` for each one that was not confirmed. */
    readonly executions: readonly (E | null)[],
    missing: { readonly unconfirmed: readonly string[]; readonly unwritten: readonly string[] },
    options?: ErrorOptions,
  ) {
    const { unconfirmed, unwritten } = missing;
    const left = executions.length - unconfirmed.length - unwritten.length;
    super(
      `of ${executions.length} adds Redis confirmed ${left}, ${unwritten.length} were not written, and ${unconfirmed.length} may or may not have been: adding those again under their keys with once: true does not run them twice`,
      options,
    );
    this.unconfirmed = unconfirmed;
    this.unwritten = unwritten;
  }
}

/**
 * The adds were written, but too few replicas had them in time, so a failover may lose them. Only with `durability`.
 */
export class DurabilityError<E = unknown> extends DocketError {
  readonly code = 'DOCKET_DURABILITY';
  override get name() {
    return 'DurabilityError';
  }
  constructor(
    /** The executions that were written, in order. They run like any others. */
    readonly executions: readonly E[],
    /** Number of replicas that had the adds in time. */
    readonly replicas: number,
    /** Number of replicas that `durability` asks for. */
    readonly wanted: number,
    timeoutMs: number,
    options?: ErrorOptions,
  ) {
    super(
      `${executions.length === 1 ? 'the add was' : `${executions.length} adds were`} written, but only ${replicas} of ${wanted} replicas confirmed within ${timeoutMs} ms, so a failover may lose what was written: adding again under the same keys with once: true does not run anything twice`,
      options,
    );
  }
}

/** The docket was closed and cannot be used any more. */
export class DocketClosedError extends DocketError {
  readonly code = 'DOCKET_CLOSED';
  override get name() {
    return 'DocketClosedError';
  }
  constructor() {
    super('the docket is closed: create a new one');
  }
}

/** A list of strikes that follows a docket was read before the list was loaded. */
export class StrikesNotLoadedError extends DocketError {
  readonly code = 'DOCKET_STRIKES_NOT_LOADED';
  override get name() {
    return 'StrikesNotLoadedError';
  }
  constructor() {
    super('the strikes of the docket have not been loaded yet: await connect() first');
  }
}

/**
 * A time limit has passed: that of `result()`, which leaves the execution running, or the `timeout` of a task, which
 * fails the attempt.
 */
export class TimeoutError extends DocketError {
  readonly code = 'DOCKET_TIMEOUT';
  override get name() {
    return 'TimeoutError';
  }
}

/** The execution was cancelled, dropped or struck, so it has no result. */
export class ExecutionCancelledError extends DocketError {
  readonly code = 'DOCKET_EXECUTION_CANCELLED';
  override get name() {
    return 'ExecutionCancelledError';
  }
  constructor(
    readonly key: string,
    /** The reason when it was not cancelled by `cancel`, such as the limit that dropped it. */
    reason?: string,
  ) {
    super(`execution '${key}' was cancelled${reason ? `: ${reason}` : ''}`);
  }
}

/** A newer execution has the key of this one: it was replaced, or it was a run of a chain and the next run followed. */
export class ExecutionSupersededError extends DocketError {
  readonly code = 'DOCKET_EXECUTION_SUPERSEDED';
  override get name() {
    return 'ExecutionSupersededError';
  }
  constructor(readonly key: string) {
    super(`execution '${key}' was superseded by a newer one under the same key`);
  }
}

/** There is no record of the execution: it was never added, a failover lost it, or its `executionTtl` has passed. */
export class ExecutionNotFoundError extends DocketError {
  readonly code = 'DOCKET_EXECUTION_NOT_FOUND';
  override get name() {
    return 'ExecutionNotFoundError';
  }
  constructor(readonly key: string) {
    super(
      `there is no execution '${key}': it was never added, a failover lost it, or it ended and its executionTtl has passed`,
    );
  }
}

/** The execution keeps no state and no result, because it was added with `executionTtl: 0`. */
export class ResultsDisabledError extends DocketError {
  readonly code = 'DOCKET_RESULTS_DISABLED';
  override get name() {
    return 'ResultsDisabledError';
  }
  constructor(readonly key: string) {
    super(
      `execution '${key}' was added with executionTtl 0, which keeps no state and no result: set a longer executionTtl`,
    );
  }
}

/** A task asked for another attempt with `ctx.retry`, but this was the last one its policy allows. */
export class RetriesExhaustedError extends DocketError {
  readonly code = 'DOCKET_RETRIES_EXHAUSTED';
  override get name() {
    return 'RetriesExhaustedError';
  }
  constructor(
    readonly task: string,
    /** Number of attempts that were made. */
    readonly attempts: number,
  ) {
    super(
      `task '${task}' asked for another attempt after its last one (${attempts}): raise \`attempts\` in its retry policy`,
    );
  }
}

/**
 * A part of a context that acts on its execution was used after the attempt had ended. Nothing was changed, since the key
 * may belong to another execution by then.
 */
export class AttemptEndedError extends DocketError {
  readonly code = 'DOCKET_ATTEMPT_ENDED';
  override get name() {
    return 'AttemptEndedError';
  }
  constructor(
    readonly key: string,
    /** The part that was used, such as `ctx.retry`. */
    use: string,
  ) {
    super(`${use} was used after the attempt of '${key}' had ended: await whatever uses it before the task returns`);
  }
}

/** The reason of `ctx.signal` when the worker stops or has lost the lease, so that the execution runs again elsewhere. */
export class InterruptedError extends DocketError {
  readonly code = 'DOCKET_INTERRUPTED';
  override get name() {
    return 'InterruptedError';
  }
  constructor() {
    super('the worker stops or has lost the lease, so this attempt must end: the execution runs again elsewhere');
  }
}

/** The threads of the worker fail to start again and again. */
export class ThreadBootError extends DocketError {
  readonly code = 'DOCKET_THREAD_BOOT';
  override get name() {
    return 'ThreadBootError';
  }
}

/**
 * The thread or process that ran the execution died too often. The execution failed and is not retried. Its `cause` is
 * what ended the last thread, if that is known: the error that nobody caught, or one that says how it ended.
 */
export class PoisonedError extends DocketError {
  readonly code = 'DOCKET_POISONED';
  override get name() {
    return 'PoisonedError';
  }
  constructor(
    readonly key: string,
    /** Number of deaths that the execution was charged with. */
    readonly charges: number,
    /** What ended the last one, in one line and as an error. */
    last: { readonly line: string; readonly error: Error } | null = null,
  ) {
    const lookFor = last
      ? `the last one ended with: ${last.line}`
      : 'look for process.exit(), a crash or a lack of memory in its task';
    super(
      `execution '${key}' was running when its thread or process died, ${charges} times, so it is not retried: ${lookFor}`,
      last ? { cause: last.error } : undefined,
    );
  }
}

/**
 * The arguments do not match the task's `input`. At `add`, nothing was written; in a worker, the attempt failed and is
 * not retried.
 */
export class InvalidArgumentsError extends DocketError {
  readonly code = 'DOCKET_INVALID_ARGUMENTS';
  override get name() {
    return 'InvalidArgumentsError';
  }
  constructor(
    readonly task: string,
    /** The problems that the schema found; `path` is empty when a problem concerns the arguments as a whole. */
    readonly issues: readonly { readonly path: string; readonly message: string }[],
  ) {
    const listed = issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`));
    super(`the arguments of '${task}' do not match its input: ${listed.join('; ')}`);
  }
}

/** An argument that a limit counts by is missing, or is not a value it can count by. The attempt failed. */
export class LimitArgumentError extends DocketError {
  readonly code = 'DOCKET_LIMIT_ARGUMENT';
  override get name() {
    return 'LimitArgumentError';
  }
  constructor(
    readonly task: string,
    readonly argument: string,
    /** Names of the arguments that were passed. */
    readonly names: readonly string[],
    /** What the argument is instead of a scalar, such as `an array`; `null` when it is missing. */
    readonly found: string | null = null,
  ) {
    const problem = found === null ? 'is missing' : `is ${found}`;
    const known = names.slice(0, 20).map((name) => (name.length > 60 ? `${name.slice(0, 60)}…` : name));
    const has = known.length > 0 ? `its arguments are ${known.join(', ')}` : 'it has no arguments';
    super(
      `task '${task}' is limited by its argument '${argument}', which ${problem}; ${has}: pass a string, number, bigint, boolean, null or Date, or limit the task by another argument`,
    );
  }
}

/** A recording docket, or the docket of a task that is run alone, was asked for something that only a server can answer. */
export class NoServerError extends DocketError {
  readonly code = 'DOCKET_NO_SERVER';
  override get name() {
    return 'NoServerError';
  }
  constructor(
    /** What was asked for, such as `snapshot()`. */
    readonly use: string,
  ) {
    super(`${use} needs a server, and this docket only records what is added to it: test it with openTestDocket()`);
  }
}

/** The work of a test docket did not end in time. */
export class TestTimeoutError extends DocketError {
  readonly code = 'DOCKET_TEST_TIMEOUT';
  override get name() {
    return 'TestTimeoutError';
  }
  constructor(
    readonly timeoutMs: number,
    /** What was left to do, in words. */
    readonly left: string,
  ) {
    super(
      `the work of the test docket did not end within ${timeoutMs} ms: ${left}. Advance the clock by less, end the chains that never end, or raise the option 'timeout'`,
    );
  }
}

/** The timers of the process are faked, and nothing advances them. A test docket would wait for ever. */
export class FakeTimersError extends DocketError {
  readonly code = 'DOCKET_FAKE_TIMERS';
  override get name() {
    return 'FakeTimersError';
  }
  constructor() {
    super(
      "a test docket needs timers that run, and those of this process are faked: let fake timers have 'Date' only, or use real ones. advance() moves the clock of the docket",
    );
  }
}

/** A program was bundled with docket, and uses something for which docket loads files of its own. */
export class BundledError extends DocketError {
  readonly code = 'DOCKET_BUNDLED';
  override get name() {
    return 'BundledError';
  }
  constructor(
    /** The file that was looked for, below the folder of the built package. */
    readonly file: string,
  ) {
    super(
      `docket was bundled, and its file '${file}' is not beside the bundle. Leave docket outside the bundle in a program that uses worker threads, memory:// or the dashboard`,
    );
  }
}

/** The worker, or the dashboard, cannot listen on its port. It has not started. */
export class PortUnavailableError extends DocketError {
  readonly code = 'DOCKET_PORT_UNAVAILABLE';
  override get name() {
    return 'PortUnavailableError';
  }
  constructor(
    /** Name of the option that set the port. */
    readonly option: string,
    readonly host: string,
    readonly port: number,
    cause: NodeJS.ErrnoException,
  ) {
    const problem = listenProblem(cause);
    super(`${option}: cannot listen on ${host}:${port}, ${problem}: choose another one, or 0 for any`, { cause });
  }
}

function listenProblem({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EADDRINUSE') return 'the port is in use';
  if (code === 'EACCES') return 'this user may not listen on it';
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return 'no network interface of this machine has this address';
  return message;
}
