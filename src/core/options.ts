/**
 * Refuses options that do not exist. Plain JavaScript would pass them over in silence: a misspelt `every` would make a
 * loop without a pause, and a misspelt `url` would write to another server.
 */
import { InvalidOptionError } from './errors.js';

/** The names of the options that a function takes. */
export type OptionNames = ReadonlySet<string>;

/** Lists the names of all options in `O`. The compiler refuses a list that lacks one. */
export function optionNames<O extends object>(names: Readonly<Record<keyof O, true>>): OptionNames {
  return new Set(Object.keys(names));
}

/**
 * Checks that options are an object and have no names but these.
 * @param where - what comes before the name of an option in the error, such as `retry.`; empty for nothing
 * @throws InvalidOptionError naming the option that does not exist, and the one that was probably meant
 */
export function checkOptionNames(options: unknown, names: OptionNames, where: string): void {
  if (typeof options !== 'object' || options === null) {
    const found = options === null ? 'null' : typeof options;
    throw new InvalidOptionError(where === '' ? 'options' : `${where}options`, `expected an object, got ${found}`);
  }
  for (const name in options) if (!names.has(name)) throw unknownOption(name, names, where);
}

function unknownOption(name: string, names: OptionNames, where: string): InvalidOptionError {
  const known = [...names];
  const meant = nearestOf(name, known);
  const hint =
    meant !== undefined
      ? `did you mean '${meant}'?`
      : known.length === 1
        ? `the only one is '${known[0]}'`
        : `the options are ${known.join(', ')}`;
  return new InvalidOptionError(where + name, `there is no such option: ${hint}`);
}

/** Words that other libraries have for an option, with the ones docket has. The first that is an option is suggested. */
const OTHER_WORDS: Readonly<Record<string, readonly string[]>> = {
  at: ['when', 'start'],
  connection: ['url'],
  count: ['attempts', 'max'],
  delay: ['when', 'minimumDelay', 'settle'],
  dependencies: ['uses'],
  duration: ['per', 'window', 'settle', 'over', 'timeout'],
  expires: ['executionTtl'],
  host: ['url'],
  id: ['key'],
  interval: ['every', 'per', 'window', 'settle', 'minimumCheckInterval'],
  jobid: ['key'],
  limit: ['max', 'limits'],
  maxdelay: ['maximumDelay'],
  mindelay: ['minimumDelay'],
  modules: ['tasks'],
  queue: ['name'],
  redis: ['url'],
  retries: ['attempts', 'retry'],
  schema: ['input'],
  taskid: ['key'],
  ttl: ['executionTtl', 'window'],
  tz: ['timezone'],
  wait: ['settle', 'timeout'],
  workers: ['threads'],
};

/** Returns the name that was probably meant; `undefined` when none is near. */
function nearestOf(name: string, known: readonly string[]): string | undefined {
  const given = name.toLowerCase();
  const other = Object.hasOwn(OTHER_WORDS, given) ? OTHER_WORDS[given]! : [];
  const nearest = known
    .map((candidate) => ({ candidate, distance: distanceOf(given, candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0]!;
  if (nearest.distance <= Math.max(1, Math.floor(given.length / 4))) return nearest.candidate;
  const synonym = other.find((candidate) => known.includes(candidate));
  return synonym ?? known.find((it) => given.includes(it.toLowerCase()) || it.toLowerCase().includes(given));
}

/** Counts the letters that have to be inserted, removed or replaced to make one text of another. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** Shows a value in the error about it, with text in quotes, so that `'3'` is told from 3. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
}

/**
 * Returns an option that is true or false.
 * @throws InvalidOptionError when it is something else, such as the text 'false'
 */
export function flagOf(value: unknown, option: string): boolean {
  if (typeof value === 'boolean') return value;
  throw new InvalidOptionError(option, `expected true or false, got ${shown(value)}`);
}

/**
 * Returns an option that is a whole number.
 * @throws InvalidOptionError when it is something else, or less than `minimum`
 */
export function wholeNumberOf(value: unknown, minimum: number, option: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= minimum) return value as number;
  throw new InvalidOptionError(option, `expected a whole number >= ${minimum}, got ${shown(value)}`);
}
