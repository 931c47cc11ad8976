/** Every error docket throws: typed, with a stable `code`, saying what happened and what to do about it. */

export abstract class DocketError extends Error {
  abstract readonly code: string;
  override get name(): string {
    return this.constructor.name;
  }
}

/** A duration, date, key, name, URL or option that docket cannot accept. Nothing was written. */
export class InvalidOptionError extends DocketError {
  readonly code = 'DOCKET_INVALID_OPTION';
  constructor(
    readonly option: string,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`${option}: ${problem}`, options);
  }
}

/** Arguments or a result hold something that cannot travel, such as a function or a class instance. */
export class UnencodableValueError extends DocketError {
  readonly code = 'DOCKET_UNENCODABLE_VALUE';
  constructor(
    /** Where the value was found, such as `args.user.onDone`. */
    readonly path: string,
    problem: string,
  ) {
    super(`${path} ${problem}`);
  }
}

/** Bytes read from Redis or from a thread are not a value docket wrote. */
export class UndecodableValueError extends DocketError {
  readonly code = 'DOCKET_UNDECODABLE_VALUE';
}

/** The encoded arguments are larger than the docket's `maxPayloadBytes`. Nothing was written. */
export class PayloadTooLargeError extends DocketError {
  readonly code = 'DOCKET_PAYLOAD_TOO_LARGE';
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

/** A task's result is larger than the docket's payload limit; the attempt failed and is not retried. */
export class ResultTooLargeError extends DocketError {
  readonly code = 'DOCKET_RESULT_TOO_LARGE';
  constructor(
    readonly task: string,
    readonly bytes: number,
    readonly limit: number,
  ) {
    super(
      `the result of '${task}' takes ${bytes} bytes, the limit is ${limit}: store it elsewhere and return a reference`,
    );
  }
}

/** Two tasks of one collection share a name; the name is the wire format and must be unique. */
export class DuplicateTaskError extends DocketError {
  readonly code = 'DOCKET_DUPLICATE_TASK';
  constructor(
    readonly task: string,
    where: string,
  ) {
    super(`two tasks are named '${task}' (${where}): rename one, names are how workers find tasks`);
  }
}

/** No task of this name is known here. */
export class TaskNotFoundError extends DocketError {
  readonly code = 'DOCKET_TASK_NOT_FOUND';
  constructor(
    readonly task: string,
    known: readonly string[],
  ) {
    super(
      `no task is named '${task}'${known.length > 0 ? `; known: ${known.slice(0, 20).join(', ')}` : ''}: register it in the collection or correct the name`,
    );
  }
}

/** A task module could not be imported, or does not export a collection. */
export class TaskModuleError extends DocketError {
  readonly code = 'DOCKET_TASK_MODULE';
  constructor(
    readonly reference: string,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`task module '${reference}': ${problem}`, options);
  }
}

/** Code was handed to a worker with threads as a value; it can only reach threads by module reference. */
export class ModuleReferenceRequiredError extends DocketError {
  readonly code = 'DOCKET_MODULE_REFERENCE_REQUIRED';
  constructor(readonly option: string) {
    super(
      `${option}: task values cannot be sent to worker threads. Export the collection from a module and pass its path or URL ('./tasks.js' or './tasks.js:name'), or use threads: 0`,
    );
  }
}

/** The server cannot be reached, refused the credentials, or lacks something docket needs. */
export class RedisUnavailableError extends DocketError {
  readonly code = 'DOCKET_REDIS_UNAVAILABLE';
}

/** The connection was lost before Redis confirmed an `add`: it may or may not have been written. */
export class AddUnconfirmedError extends DocketError {
  readonly code = 'DOCKET_ADD_UNCONFIRMED';
  constructor(
    readonly key: string,
    options?: ErrorOptions,
  ) {
    super(
      `no answer to the add of '${key}': it may have been written. Adding again is safe when the key was given`,
      options,
    );
  }
}

/** Part of an `addMany` was written, part has no answer. */
export class PartialAddError<E = unknown> extends DocketError {
  readonly code = 'DOCKET_PARTIAL_ADD';
  constructor(
    /** What was confirmed, in order; `null` where the answer is missing. */
    readonly executions: readonly (E | null)[],
    /** Keys of the calls without an answer. */
    readonly unconfirmed: readonly string[],
    options?: ErrorOptions,
  ) {
    super(`${unconfirmed.length} of ${executions.length} adds have no answer: they may have been written`, options);
  }
}

/** Adds were written, but too few replicas had them in time: a failover may lose them. Only with `durability`. */
export class DurabilityError<E = unknown> extends DocketError {
  readonly code = 'DOCKET_DURABILITY';
  constructor(
    /** What was written, in order. It is run like anything else. */
    readonly executions: readonly E[],
    /** How many replicas had it in time. */
    readonly replicas: number,
    /** How many should have. */
    readonly wanted: number,
    timeoutMs: number,
    options?: ErrorOptions,
  ) {
    super(
      `${executions.length === 1 ? 'the add is' : `${executions.length} adds are`} written, but ${replicas} instead of ${wanted} replicas had it within ${timeoutMs} ms: a failover may lose it. Add again only under the same key`,
      options,
    );
  }
}

/** The docket was closed; it takes no more work. */
export class DocketClosedError extends DocketError {
  readonly code = 'DOCKET_CLOSED';
  constructor() {
    super('the docket is closed: create a new one');
  }
}

/** A list of strikes that follows a docket was asked before it knew of any. */
export class StrikesNotLoadedError extends DocketError {
  readonly code = 'DOCKET_STRIKES_NOT_LOADED';
  constructor() {
    super('the strikes of the docket are not known yet: wait for connect() first');
  }
}

/** The execution did not end within the timeout or before the deadline given to `result()`. */
export class TimeoutError extends DocketError {
  readonly code = 'DOCKET_TIMEOUT';
}

/** The execution was cancelled, so it has no result. */
export class ExecutionCancelledError extends DocketError {
  readonly code = 'DOCKET_EXECUTION_CANCELLED';
  constructor(
    readonly key: string,
    /** Why, when it was not by `cancel`: such as a limit that dropped it. */
    reason?: string,
  ) {
    super(`execution '${key}' was cancelled${reason ? `: ${reason}` : ''}`);
  }
}

/** A newer execution took this one's key before it ended. */
export class ExecutionSupersededError extends DocketError {
  readonly code = 'DOCKET_EXECUTION_SUPERSEDED';
  constructor(readonly key: string) {
    super(`execution '${key}' was superseded by a newer one under the same key`);
  }
}

/** The record of this execution is gone: its `executionTtl` has passed. */
export class ExecutionNotFoundError extends DocketError {
  readonly code = 'DOCKET_EXECUTION_NOT_FOUND';
  constructor(readonly key: string) {
    super(`nothing is known of execution '${key}': it never existed or its executionTtl has passed`);
  }
}

/** Results are not kept with `executionTtl: 0`. */
export class ResultsDisabledError extends DocketError {
  readonly code = 'DOCKET_RESULTS_DISABLED';
  constructor(readonly key: string) {
    super(
      `execution '${key}' was added with executionTtl 0, which keeps no state and no result: set executionTtl to wait for results`,
    );
  }
}

/** A task asked for another attempt with `ctx.retry`, but has had all it is allowed. */
export class RetriesExhaustedError extends DocketError {
  readonly code = 'DOCKET_RETRIES_EXHAUSTED';
  constructor(
    readonly task: string,
    readonly attempts: number,
  ) {
    super(
      `task '${task}' asked for another attempt after attempt ${attempts}, its last: raise \`attempts\` of its retry policy`,
    );
  }
}

/** The worker's threads keep failing to start. */
export class ThreadBootError extends DocketError {
  readonly code = 'DOCKET_THREAD_BOOT';
}

/** An execution ended its thread or process too often and is not tried again. */
export class PoisonedError extends DocketError {
  readonly code = 'DOCKET_POISONED';
  constructor(
    readonly key: string,
    readonly charges: number,
  ) {
    super(`execution '${key}' was running when its thread or process died, ${charges} times: it is not tried again`);
  }
}

/** The arguments do not match the task's `input`. At `add` nothing was written; an attempt fails and is not retried. */
export class InvalidArgumentsError extends DocketError {
  readonly code = 'DOCKET_INVALID_ARGUMENTS';
  constructor(
    readonly task: string,
    /** What is wrong where; `path` is empty when it is about the arguments as a whole. */
    readonly issues: readonly { readonly path: string; readonly message: string }[],
  ) {
    const listed = issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`));
    super(`the arguments of '${task}' do not match its input: ${listed.join('; ')}`);
  }
}

/** An argument that a limit counts is missing, or is not a value that can be counted; the attempt failed. */
export class LimitArgumentError extends DocketError {
  readonly code = 'DOCKET_LIMIT_ARGUMENT';
  constructor(
    readonly task: string,
    readonly argument: string,
    /** The arguments there are. */
    readonly names: readonly string[],
    /** What the argument is instead of a scalar; `null` when it is missing. */
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

/** The port for metrics or health cannot be listened on. The worker has not started. */
export class PortUnavailableError extends DocketError {
  readonly code = 'DOCKET_PORT_UNAVAILABLE';
  constructor(
    /** The option it comes from. */
    readonly option: string,
    readonly host: string,
    readonly port: number,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(`${option}: cannot listen on ${host}:${port}, ${reason}: choose another one, or 0 for any`, options);
  }
}
