/**
 * What one run of the chaos suite leaves behind for its auditor: plain data, so that a falsified history can be made in a test.
 *
 * All times are milliseconds of the clock of this machine, as the driver and the server of the history tell it. None that is
 * compared comes from a worker, whose clock may be off on purpose.
 */
import type { Violation } from './audit/rules.js';

/** What is expected of an execution: how it was added, and what its body does. */
export const SHAPES = [
  'plain',
  'fire-and-forget',
  'keyed',
  'delayed',
  'result',
  'repeated',
  'retried',
  'failing',
  'limited',
  'chain',
  'cancelled',
  'replaced',
  'replacing',
  'overtaken',
  'burst',
  'hostile',
  'novel',
  'long',
] as const;

export type Shape = (typeof SHAPES)[number];

/** What became of an `add`: it resolved, wrote nothing, or may have written something. */
export type AddOutcome = 'acknowledged' | 'refused' | 'uncertain';

export interface Added {
  /** Names it in the history. Its tasks record it, since they get it as an argument. */
  readonly id: string;
  readonly shape: Shape;
  /** Under which docket has its record; null if it keeps none. */
  readonly key: string | null;
  readonly outcome: AddOutcome;
  /** Code of the error of an add that was not acknowledged. */
  readonly error: string | null;
  readonly settledMs: number;
  /** Before this time it must not start; null if it was due at once. */
  readonly dueMs: number | null;
  /** How many runs it has: more than one for a chain. */
  readonly runs: number;
  /** How many attempts each run has. */
  readonly attempts: number;
  /** The state in which it ends; null if it keeps none. */
  readonly final: 'completed' | 'failed' | null;
  /** How it was kept from running, once somebody had tried to. */
  readonly stopped: Stopped | null;
  /** What its first attempt ends; null if it ends nothing. */
  readonly harms: Harm | null;
}

/** What a hostile body ends: the thread on which it is, or perhaps the whole process. */
export type Harm = 'thread' | 'process';

export interface Stopped {
  /** `perhaps`: the answer was lost, or it came too late for some of the work. */
  readonly how: 'cancelled' | 'replaced' | 'perhaps';
  readonly settledMs: number;
}

/** An attempt as its body saw it. */
export interface Attempt {
  readonly id: string;
  /** Unique for each start of a body. The result of an execution is the token of the attempt that counted. */
  readonly token: string;
  readonly attempt: number;
  /** When the run was due, as docket told its body. */
  readonly whenMs: number;
  /** What the clock of the worker said, which may be wrong on purpose. */
  readonly clockMs: number;
  readonly worker: string;
  /** Process and thread on which it was. No other thread has the same. */
  readonly thread: string;
  readonly redelivered: boolean;
  /** The concurrency limit that it runs under. */
  readonly limit: string | null;
  readonly startedMs: number;
  /** null if the body was cut short. */
  readonly endedMs: number | null;
}

/** Which executions a fault can have delivered again: those of one worker, those of all, or none. */
export type Reach = 'worker' | 'all' | 'none';

/**
 * What a fault can have taken from Redis.
 *
 * - `nothing`: no write that was confirmed
 * - `effects`: the last writes, but no add that waited for a replica
 * - `recent`: the last writes
 * - `everything`: all that was there
 */
export type Loss = 'nothing' | 'effects' | 'recent' | 'everything';

/** A fault while it lasted. */
export interface FaultWindow {
  /** Its number in the schedule of the run; null for what nobody planned, such as a machine that stood still. */
  readonly number: number | null;
  readonly fault: string;
  readonly name: string;
  readonly reach: Reach;
  readonly loses: Loss;
  /** Whether outcomes could not be written while it lasted. */
  readonly holdsOutcomes: boolean;
  /** Whether a worker was drained. */
  readonly drains: boolean;
  /** The worker that it hit, if it hit one. */
  readonly worker: string | null;
  /** The one thread of this worker that it hit; null if it hit all of them. */
  readonly thread: string | null;
  readonly beganMs: number;
  readonly endedMs: number;
}

/** The state of an execution, as somebody read it. */
export interface StateRead {
  readonly id: string;
  readonly state: string;
  /** The token that its result has; null if it was not read or there is none. */
  readonly token: string | null;
  readonly atMs: number;
}

/** What a waiting `result()` returned. */
export interface Waited {
  readonly id: string;
  /** null if it rejected. */
  readonly token: string | null;
  readonly error: string | null;
  readonly atMs: number;
}

/** How many permits of a limit were taken in Redis at one time. */
export interface PermitSample {
  readonly limit: string;
  readonly taken: number;
  readonly atMs: number;
}

/** What one worker process needed. */
export interface ProcessSample {
  readonly worker: string;
  readonly pid: number;
  readonly residentBytes: number;
  readonly handles: number;
  readonly threads: number;
  readonly atMs: number;
}

/** The end of a run, when all faults are over. */
export interface Quiescence {
  /** When the last fault was over and the last add was settled. */
  readonly beganMs: number;
  /** When nothing was left to do; null if that never came. */
  readonly reachedMs: number | null;
  /** What was left on the streams and the schedule then, and keys without an end. */
  readonly leftovers: readonly string[];
  /** Permits that were still taken, by limit. */
  readonly permits: Readonly<Record<string, number>>;
  /** Workers whose readiness page said no, with its reason. */
  readonly unready: readonly string[];
}

/** A worker process that ended although nobody had ended it. */
export interface UnplannedExit {
  readonly worker: string;
  readonly atMs: number;
  readonly reason: string;
}

/** A worker that called itself ready at a time at which it could not reach its server. */
export interface FalseReadiness {
  readonly worker: string;
  readonly atMs: number;
  readonly cutForMs: number;
}

/** What was quarantined. */
export interface Quarantine {
  /** How many messages were written that nobody can read. */
  readonly written: number;
  /** How many of these were kept with a reason. */
  readonly kept: number;
  /** Keys of executions that were quarantined although nothing is wrong with them. */
  readonly sound: readonly string[];
}

export interface History {
  readonly limits: Readonly<Record<string, number>>;
  /** How long the next attempt waits when one has failed. */
  readonly retryDelayMs: number;
  readonly added: readonly Added[];
  readonly attempts: readonly Attempt[];
  readonly faults: readonly FaultWindow[];
  /** In the order in which they were read. */
  readonly reads: readonly StateRead[];
  readonly waited: readonly Waited[];
  readonly permits: readonly PermitSample[];
  readonly processes: readonly ProcessSample[];
  readonly exits: readonly UnplannedExit[];
  readonly falseReadiness: readonly FalseReadiness[];
  /**
   * Errors of producers that have no type of docket's, or say neither that nothing was written nor that something may
   * have been.
   */
  readonly oddErrors: readonly string[];
  readonly quarantine: Quarantine;
  /** Promises that were seen to be broken while the run went on. */
  readonly seen: readonly Violation[];
  readonly quiescence: Quiescence;
}
