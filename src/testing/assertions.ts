/**
 * Assertions about executions. They throw the AssertionError of `node:assert`, which every test runner knows, with what was
 * expected and what was found as its two sides.
 */
import { AssertionError } from 'node:assert';
import { inspect, isDeepStrictEqual } from 'node:util';
import { type Duration, toMs } from '../core/duration.js';
import { InvalidOptionError } from '../core/errors.js';
import { checkOptionNames, optionNames } from '../core/options.js';
import type { TerminalState } from '../core/states.js';
import { isTask, type Task } from '../tasks/task.js';
import { decodeValue, encodeValue } from '../wire/codec.js';
import type { AddedExecution } from './added.js';
import { checkExpected, checkKit, hasRecorded } from './checks.js';
import { executionsOf, type KnownExecution } from './known.js';
import type { Recorded } from './recording-docket.js';
import type { TestDocket } from './test-docket.js';

/** What an execution must be like. Parts that are left out may be anything. */
export interface ExpectedExecution<A = object> {
  /** Arguments that it must have, each of them deeply equal. It may have others beside them. */
  readonly args?: Partial<A>;
  readonly key?: string;
  /** When it is due: at a point in time, or so long after it was added. */
  readonly when?: Date | Duration;
  /** How many of them there must be. @default at least one */
  readonly times?: number;
}

/** What a failed execution must be like. */
export interface ExpectedFailure<A = object> extends ExpectedExecution<A> {
  /** What its error in one line, such as `TypeError: x is undefined`, contains or matches. */
  readonly error?: string | RegExp;
}

/** A task, or its name. */
type TaskOrName<A, R> = Task<string, A, R> | string;

// biome-ignore lint/suspicious/noExplicitAny: a test docket with any collection
type AnyTestDocket = TestDocket<any>;

/**
 * Asserts that an execution of a task was added. In a test docket it may have run since; executions that were removed after their
 * `executionTtl` are not found.
 * @returns the executions that match
 * @throws AssertionError when there is none, or another number of them than `times`
 * @example
 * ```ts
 * await assertTaskAdded(kit, charge, { args: { orderId: 7 }, when: '10m' });
 * ```
 */
export function assertTaskAdded<A extends object, R>(
  recorded: Recorded,
  task: TaskOrName<A, R>,
  expected?: ExpectedExecution<NoInfer<A>>,
): readonly AddedExecution<A>[];
export function assertTaskAdded<A extends object, R>(
  kit: AnyTestDocket,
  task: TaskOrName<A, R>,
  expected?: ExpectedExecution<NoInfer<A>>,
): Promise<readonly AddedExecution<A>[]>;
export function assertTaskAdded(
  source: Recorded | AnyTestDocket,
  task: TaskOrName<never, unknown>,
  expected: ExpectedExecution = {},
): unknown {
  const check = checkOf({ task, expected, names: EXPECTED, state: null, assertion: assertTaskAdded });
  if (hasRecorded(source)) return check(source.added);
  checkKit(source, ANY_SOURCE);
  return executionsOf(source).then(check);
}

/**
 * Asserts that no execution of a task was added, or none that matches.
 * @throws AssertionError when there is one
 */
export function assertNoTaskAdded<A extends object, R>(
  recorded: Recorded,
  task?: TaskOrName<A, R>,
  expected?: Omit<ExpectedExecution<NoInfer<A>>, 'times'>,
): void;
export function assertNoTaskAdded<A extends object, R>(
  kit: AnyTestDocket,
  task?: TaskOrName<A, R>,
  expected?: Omit<ExpectedExecution<NoInfer<A>>, 'times'>,
): Promise<void>;
export function assertNoTaskAdded(
  source: Recorded | AnyTestDocket,
  task: TaskOrName<never, unknown> | null = null,
  expected: ExpectedExecution = {},
): unknown {
  const none = { ...expected, times: 0 };
  const check = checkOf({ task, expected: none, names: EXPECTED, state: null, assertion: assertNoTaskAdded });
  if (hasRecorded(source)) return void check(source.added);
  checkKit(source, ANY_SOURCE);
  return executionsOf(source).then((all) => void check(all));
}

/**
 * Asserts that an execution of a task has completed. For a chain, the last run that has ended counts.
 * @returns the executions that match
 * @throws AssertionError when there is none, or another number of them than `times`
 */
export async function assertTaskCompleted<A extends object, R>(
  kit: AnyTestDocket,
  task: TaskOrName<A, R>,
  expected: ExpectedExecution<NoInfer<A>> = {},
): Promise<readonly KnownExecution<A, R>[]> {
  const check = checkOf({ task, expected, names: EXPECTED, state: 'completed', assertion: assertTaskCompleted });
  checkKit(kit, 'a test docket');
  return check(await executionsOf(kit)) as readonly KnownExecution<A, R>[];
}

/**
 * Asserts that an execution of a task has failed for good. For a chain, the last run that has ended counts.
 * @returns the executions that match
 * @throws AssertionError when there is none, or another number of them than `times`
 */
export async function assertTaskFailed<A extends object, R>(
  kit: AnyTestDocket,
  task: TaskOrName<A, R>,
  expected: ExpectedFailure<NoInfer<A>> = {},
): Promise<readonly KnownExecution<A, R>[]> {
  const check = checkOf({ task, expected, names: EXPECTED_FAILURE, state: 'failed', assertion: assertTaskFailed });
  checkKit(kit, 'a test docket');
  return check(await executionsOf(kit)) as readonly KnownExecution<A, R>[];
}

const ANY_SOURCE = 'a recording docket, a run of runTask() or a test docket';

const EXPECTED_NAMES = { args: true, key: true, when: true, times: true } as const;
const EXPECTED = optionNames<ExpectedExecution>(EXPECTED_NAMES);
const EXPECTED_FAILURE = optionNames<ExpectedFailure>({ ...EXPECTED_NAMES, error: true });

interface Check {
  /** `null` for any. */
  readonly task: TaskOrName<never, unknown> | null;
  readonly expected: ExpectedFailure;
  readonly names: ReadonlySet<string>;
  /** The state it must have ended in; `null` for any state. */
  readonly state: TerminalState | null;
  /** Left out of the stack of the error. */
  readonly assertion: (...args: never[]) => unknown;
}

/** Returns a function that picks those that match from all executions. */
function checkOf({ task, expected, names, state, assertion }: Check) {
  checkOptionNames(expected, names, 'expected.');
  const name = isTask(task) ? task.name : task;
  if (name !== null && typeof name !== 'string') throw new InvalidOptionError('task', 'expected a task or its name');
  checkExpected(expected);
  const { times } = expected;
  const wanted = { ...expected, ...(expected.args && { args: sent(expected.args) }) };

  return <E extends AddedExecution>(all: readonly E[]): readonly E[] => {
    const ofTask = all.filter((one) => name === null || one.task === name);
    const found = ofTask.filter((one) => isLike(one, wanted, state));
    if (times === undefined ? found.length > 0 : found.length === times) return found;
    const what = name === null ? 'a task' : `task '${name}'`;
    const how = state === null ? 'been added' : state;
    const [actual, shownExpected] = sides(ofTask, found, wanted, state);
    throw new AssertionError({
      message: `${headOf({ what, how, expected: wanted, times, found: found.length })}\n${listOf(ofTask, name)}`,
      actual,
      expected: shownExpected,
      operator: assertion.name,
      stackStartFn: assertion,
    });
  };
}

/** A value as it comes out of a docket. */
function sent<T>(value: T): T {
  return decodeValue(Uint8Array.from(encodeValue(value, 'expected.args'))) as T;
}

function isLike(one: AddedExecution, expected: ExpectedFailure, state: TerminalState | null): boolean {
  const known = one as Partial<KnownExecution>;
  if (state !== null && known.endState !== state) return false;
  if (expected.key !== undefined && one.key !== expected.key) return false;
  if (expected.when !== undefined && one.when.getTime() !== dueMsOf(one, expected.when)) return false;
  if (expected.error !== undefined && !isErrorLike(known.errorLine ?? '', expected.error)) return false;
  return Object.entries(expected.args ?? {}).every(([name, value]) => {
    const args = one.args as Readonly<Record<string, unknown>> | null | undefined;
    return args != null && Object.hasOwn(args, name) && isDeepStrictEqual(args[name], value);
  });
}

function dueMsOf({ addedAt }: AddedExecution, when: Date | Duration): number {
  if (when instanceof Date) return when.getTime();
  return addedAt === null ? Number.NaN : addedAt.getTime() + toMs(when, 'expected.when');
}

function isErrorLike(line: string, error: string | RegExp): boolean {
  return typeof error === 'string'
    ? line.includes(error)
    : new RegExp(error.source, error.flags.replace(/[gy]/g, '')).test(line);
}

/** What differs, side by side: of the only candidate the fields that were asked for, otherwise all candidates. */
function sides(
  ofTask: readonly AddedExecution[],
  found: readonly AddedExecution[],
  { times, when, ...expected }: ExpectedFailure,
  state: TerminalState | null,
): [actual: unknown, expected: unknown] {
  const [only] = ofTask;
  if (times !== undefined) return [found.length, times];
  if (ofTask.length !== 1 || !only)
    return [ofTask.map(shownOf), [{ ...expected, ...(when !== undefined && { when }) }]];
  const known = only as Partial<KnownExecution>;
  const wanted: Record<string, unknown> = { ...expected };
  const actual: Record<string, unknown> = {};
  if (expected.args) actual.args = picked(only.args, Object.keys(expected.args));
  if (expected.key !== undefined) actual.key = only.key;
  if (expected.error !== undefined) actual.error = known.errorLine;
  if (when !== undefined) {
    actual.when = only.when;
    wanted.when = new Date(dueMsOf(only, when));
  }
  if (state !== null) {
    actual.state = known.endState ?? known.state;
    wanted.state = state;
  }
  return [actual, wanted];
}

function picked(args: unknown, names: readonly string[]): unknown {
  if (typeof args !== 'object' || args === null) return args;
  return Object.fromEntries(
    names.filter((name) => Object.hasOwn(args, name)).map((name) => [name, Reflect.get(args, name)]),
  );
}

interface Head {
  readonly what: string;
  /** What should have become of it. */
  readonly how: string;
  readonly expected: ExpectedFailure;
  readonly times: number | undefined;
  readonly found: number;
}

function headOf({ what, how, expected: { times: _, ...expected }, times, found }: Head): string {
  const like = Object.keys(expected).length > 0 ? ` with ${inspect(expected, { depth: 6 })}` : '';
  const never = times === 0 ? ' never' : '';
  const often = times === undefined || times === 0 ? '' : ` ${times} time${times === 1 ? '' : 's'}`;
  return `Expected ${what}${never} to have ${how}${often}${like}${times === undefined ? '' : `, found ${found}`}`;
}

const MOST_LISTED = 20;

function listOf(ofTask: readonly AddedExecution[], task: string | null): string {
  if (ofTask.length === 0) return task === null ? 'There is no execution.' : 'There is no execution of it.';
  const lines = ofTask
    .slice(0, MOST_LISTED)
    .map((one) => `  ${inspect(shownOf(one), { depth: 6, breakLength: Number.POSITIVE_INFINITY, compact: true })}`);
  const more = ofTask.length > MOST_LISTED ? [`  and ${ofTask.length - MOST_LISTED} more`] : [];
  return ['There are:', ...lines, ...more].join('\n');
}

function shownOf(one: AddedExecution): object {
  const { task, args, key, when } = one;
  const { state, errorLine } = one as Partial<KnownExecution>;
  return { task, args, key, when, ...(state && { state }), ...(errorLine && { error: errorLine }) };
}
