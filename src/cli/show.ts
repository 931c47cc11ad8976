/** `docket show`: all that is known of one execution. Owns the rule that arguments are private. */
import { inspect } from 'node:util';
import { Command } from 'commander';
import type { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { ExecutionNotFoundError } from '../core/errors.js';
import { loggedArguments } from '../redis/fleet-store.js';
import type { ExecutionDetails, HistoryItem, LimitWait } from '../tasks/details.js';
import { countText, print, printable, printJson, printTable, spanText } from './output.js';
import { type CommonFlags, withDocket } from './session.js';

interface ShowFlags extends CommonFlags {
  readonly showArguments?: boolean;
}

export function showCommand(): Command {
  return new Command('show')
    .description(
      'Shows all that is known of one execution: where it is, its history, worker, limits, result and error.',
    )
    .argument('<key>', 'key or id of the execution')
    .option('--show-arguments', 'show the values of all arguments, which may be private, not only their names')
    .option('--json', 'write JSON')
    .action((key: string, { showArguments = false, json = false }: ShowFlags, command: Command) =>
      withDocket(command, async (docket) => {
        const details = await docket.show(key);
        if (!details) throw new ExecutionNotFoundError(key);
        const isShown = await visibleArguments(docket, details, showArguments);
        if (json) printJson(jsonOf(details, isShown));
        else printDetails(details, isShown);
      }),
    );
}

/** Whether the value of an argument may be shown. */
type IsShown = (name: string) => boolean;

/** Allows all arguments on request, and otherwise those that a live worker's task shows in the log. */
async function visibleArguments(docket: Docket, { task }: ExecutionDetails, areAllShown: boolean): Promise<IsShown> {
  if (areAllShown) return () => true;
  const { partitions } = internalsOf(docket);
  const logged = await partitions.everywhere((one) => one.run((redis, keys) => loggedArguments(redis, keys, task)));
  return (name) => logged.some((names) => names.has(name));
}

/** Returns the arguments that may be shown; whatever the arguments are when they are no object. */
function shownArguments({ args, argumentNames }: ExecutionDetails, isShown: IsShown): unknown {
  const values = readable(args);
  if (typeof values !== 'object' || values === null) return values;
  const names = (argumentNames ?? []).filter(isShown);
  return Object.fromEntries(names.map((name) => [name, (values as Record<string, unknown>)[name]]));
}

function jsonOf(details: ExecutionDetails, isShown: IsShown): object {
  const { args: _, result, error, ...rest } = details;
  return {
    ...rest,
    args: details.argumentNames === null ? null : shownArguments(details, isShown),
    result: readable(result) ?? null,
    error: errorJson(readable(error)),
  };
}

function errorJson(error: unknown): unknown {
  if (!(error instanceof Error)) return error ?? null;
  const { name, message, stack = null, cause } = error;
  return { name, message, stack, ...(cause !== undefined && { cause: errorJson(cause) }) };
}

/** Decodes a value; one that cannot be read is shown by the problem. */
function readable(decode: () => unknown): unknown {
  try {
    return decode();
  } catch (error) {
    return `(cannot be read: ${(error as Error).message})`;
  }
}

function printDetails(details: ExecutionDetails, isShown: IsShown): void {
  const now = details.readAt.getTime();
  for (const [name, text] of factsOf(details, isShown)) {
    const lines = text.split('\n').map(printable);
    print(
      [`${name}:`.padEnd(NAME_WIDTH) + lines[0]!, ...lines.slice(1).map((line) => ' '.repeat(NAME_WIDTH) + line)].join(
        '\n',
      ),
    );
  }
  printTable(
    ['when', 'what', 'attempt', 'worker', 'details'],
    details.history.map((item) => rowOf(item, now)),
    '',
  );
}

const NAME_WIDTH = 16;
const SHOWN_VALUES = { depth: 6, colors: false, maxStringLength: 1_000, maxArrayLength: 50, breakLength: 100 } as const;

const PLACE_TEXT = {
  schedule: 'on the schedule',
  line: 'in line for a permit',
  pause: 'in the line of its paused task',
  backlog: 'due, not taken by a worker yet',
  worker: 'with a worker',
  ended: 'ended',
  lost: 'nowhere, because its place was deleted by hand; workers repair that within minutes',
} as const satisfies Record<ExecutionDetails['place'] | 'pause', string>;

/** Returns what is known, as pairs of a name and a text. */
function factsOf(details: ExecutionDetails, isShown: IsShown): [string, string][] {
  const { key, task, state, attempt, worker, isCancelled, deliveries, charges, reroutes } = details;
  const place = isPaused(details) ? 'pause' : details.place;
  const facts: [string, string | null][] = [
    ['key', key],
    ['task', task],
    ['state', `${state}${isCancelled ? ', asked to stop' : ''}${place === 'ended' ? '' : `, ${PLACE_TEXT[place]}`}`],
    ['priority', details.priority === 'normal' ? null : details.priority],
    ['attempt', String(attempt)],
    ['worker', worker],
    ['waits for', waitText(details)],
    ['holds', details.holds.map(({ description, max }) => `${description} (${max} at once)`).join(', ') || null],
    [
      'lost',
      deliveries > 0 ? `${countText(deliveries, 'time')} with its worker or thread, charged for ${charges}` : null,
    ],
    ['rerouted', reroutes > 0 ? `${countText(reroutes, 'time')}, because workers could not run it` : null],
    ['progress', progressText(details)],
    ['arguments', argumentsText(details, isShown)],
    ['result', resultText(details)],
    ['error', errorText(details)],
    ['kept until', details.expiresAt?.toISOString() ?? null],
    ...details.unknown.map((one): [string, string] => ['not known', one]),
  ];
  return facts.filter((fact): fact is [string, string] => fact[1] !== null);
}

const WAIT_TEXT = {
  permit: (limit) => `a permit of limit ${limit}`,
  rate: (limit) => `its turn at limit ${limit}`,
  debounce: (limit) => `the end of debounce ${limit}`,
  resume: () => 'the resume of its task',
} as const satisfies Record<LimitWait['kind'], (limit: string) => string>;

function isPaused({ waitsFor }: ExecutionDetails): boolean {
  return waitsFor?.kind === 'resume';
}

function waitText(details: ExecutionDetails): string | null {
  const { task, waitsFor, scheduledFor, when, readAt } = details;
  if (isPaused(details)) return `the end of a pause: docket resume ${task} (docket pauses says why)`;
  const left = scheduledFor && `${spanText(scheduledFor.getTime() - readAt.getTime())} more`;
  if (waitsFor) {
    const ahead = waitsFor.ahead === null ? '' : `, ${waitsFor.ahead} ahead of it`;
    return `${WAIT_TEXT[waitsFor.kind](waitsFor.description)}${ahead}${left ? `, ${left}` : ''}`;
  }
  if (!left) return null;
  const isPutOff = when !== null && scheduledFor!.getTime() > when.getTime();
  return `${isPutOff ? 'a worker that can run it, next try' : 'its due time'}: ${left}`;
}

function progressText({ progress }: ExecutionDetails): string | null {
  if (!progress) return null;
  const { current, total, message } = progress;
  return `${current} of ${total}${message === null ? '' : `, ${message}`}`;
}

function argumentsText(details: ExecutionDetails, isShown: IsShown): string | null {
  const { argumentNames: names } = details;
  if (names === null) return null;
  const hidden = names.filter((name) => !isShown(name));
  const shown = hidden.length < names.length ? inspect(shownArguments(details, isShown), SHOWN_VALUES) : null;
  if (hidden.length === 0) return shown ?? 'none';
  return `${shown === null ? '' : `${shown}, `}${hidden.join(', ')} (--show-arguments shows their values)`;
}

function resultText({ result }: ExecutionDetails): string | null {
  const value = readable(result);
  return value === undefined ? null : inspect(value, SHOWN_VALUES);
}

function errorText({ error, errorLine }: ExecutionDetails): string | null {
  const value = readable(error);
  if (value === undefined) return errorLine;
  return inspect(value, SHOWN_VALUES);
}

function rowOf({ at, kind, attempt, worker, detail }: HistoryItem, nowMs: number): (string | number)[] {
  const span = at.getTime() <= nowMs ? `${spanText(nowMs - at.getTime())} ago` : `in ${spanText(at.getTime() - nowMs)}`;
  return [`${at.toISOString()}, ${span}`, kind, attempt ?? '', worker ?? '', detail ?? ''];
}
