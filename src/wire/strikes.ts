/**
 * Strikes: what a strike is, and which strike of a list meets an execution. Pure; lists are kept up to date elsewhere.
 *
 * A strike names a task, values of a parameter, or both. Each one stands by itself: an execution is struck when any of
 * them meets it, and restoring one leaves the others. The canonical text of a strike, its field in Redis, is JSON in
 * which values that JSON lacks are tagged:
 *
 *   ["charge"]                                 a task as a whole
 *   [null,"customerId","==","c-1"]             any task, by the value of a parameter
 *   ["charge","at","<",{"date":1735689600000}] both; also {"bigint":"12"} and {"number":"Infinity"}
 *   ["charge","orderId","between",[10,20]]     both ends included
 *
 * A look-up is cheap however long the list is: strikes are found by task and parameter, and those with `==`, of which
 * there may be thousands, by their value.
 */
import { InvalidOptionError } from '../core/errors.js';
import { type Picked, pickedOf } from './pick.js';

/** How a strike compares the value of a parameter. `between` includes both ends. */
export type StrikeOperator = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'between';

/** A value that the value of a parameter can be compared with. */
export type StrikeValue = string | number | bigint | boolean | Date | null;

/** The right-hand side of a strike: one value, or the lower and the upper end for `between`. */
export type StrikeOperand = StrikeValue | readonly [low: StrikeValue, high: StrikeValue];

/** One valid strike, made by {@link strikeOf}. */
export interface Strike {
  /** The canonical text. */
  readonly field: string;
  /** `null` means any task. */
  readonly task: string | null;
  /** `null` strikes the task whatever its arguments are. */
  readonly test: StrikeTest | null;
}

/** The comparison that an argument must pass to be struck. */
export interface StrikeTest {
  readonly parameter: string;
  readonly operator: StrikeOperator;
  readonly low: Scalar;
  /** The same as `low` unless the operator is `between`. */
  readonly high: Scalar;
}

type Scalar = Exclude<Picked, { type: 'other' }>;

/**
 * Checks one strike and returns it.
 * @param task - name of a task; `null` for any task
 * @param parameter - name of an argument; `null` for the task as a whole
 * @throws InvalidOptionError naming the part that is not valid
 */
export function strikeOf(
  task: string | null = null,
  parameter: string | null = null,
  operator: StrikeOperator = '==',
  value?: StrikeOperand,
): Strike {
  if (task !== null) checkName(task, 'task');
  if (parameter === null) {
    if (task === null)
      throw new InvalidOptionError('task', 'expected a task, a parameter or both: a strike cannot meet all work');
    if (value !== undefined)
      throw new InvalidOptionError('parameter', 'expected the parameter that the value belongs to');
    return checkSize({ field: JSON.stringify([task]), task, test: null });
  }
  checkName(parameter, 'parameter');
  if (!OPERATORS.includes(operator)) {
    throw new InvalidOptionError('operator', `expected one of ${OPERATORS.join(' ')}, got ${String(operator)}`);
  }
  const test = { parameter, operator, ...endsOf(operator, value) };
  const tagged = operator === 'between' ? [taggedOf(test.low), taggedOf(test.high)] : taggedOf(test.low);
  return checkSize({ field: JSON.stringify([task, parameter, operator, tagged]), task, test });
}

/** Reads a canonical text; `null` when this version does not understand it. */
export function parseStrike(field: string): Strike | null {
  try {
    const [task, parameter, operator, tagged] = JSON.parse(field);
    if (parameter === undefined) return strikeOf(task);
    const value = Array.isArray(tagged) ? tagged.map(untagged) : untagged(tagged);
    return strikeOf(task, parameter, operator, value as StrikeOperand);
  } catch {
    return null;
  }
}

/** Returns the right-hand side of a strike, as `strikeOf` takes it. */
export function operandOf({ operator, low, high }: StrikeTest): StrikeOperand {
  return operator === 'between' ? [bareValueOf(low), bareValueOf(high)] : bareValueOf(low);
}

/** Describes a strike in one line. */
export function describeStrike({ task, test }: Strike): string {
  const subject = task === null ? '' : `task '${shortened(task)}'`;
  if (test === null) return subject;
  const { parameter, operator, low, high } = test;
  const value = operator === 'between' ? `${textOf(low)} and ${textOf(high)}` : textOf(low);
  return `${subject}${subject && ' with '}${shortened(parameter)} ${operator} ${value}`;
}

/** Returns the reason for the cancel, as the record and the error of a struck execution show it. */
export function struckBy(strike: Strike): string {
  return `struck: ${describeStrike(strike)}`;
}

/** A list of strikes that finds one which meets an execution. */
export class Strikes {
  readonly #onIncomparable: (problem: string) => void;
  readonly #strikes = new Map<string, ListedStrike>();
  readonly #byTask = new Map<string | null, TaskStrikes>();

  /** @param onIncomparable - called once for each strike that met a value which it cannot be compared with */
  constructor(onIncomparable: (problem: string) => void) {
    this.#onIncomparable = onIncomparable;
  }

  get size(): number {
    return this.#strikes.size;
  }

  has({ field }: Strike): boolean {
    return this.#strikes.has(field);
  }

  add(strike: Strike): void {
    if (this.#strikes.has(strike.field)) return;
    const listed = { strike, hasWarned: false };
    this.#strikes.set(strike.field, listed);
    const ofTask = this.#byTask.get(strike.task) ?? new TaskStrikes();
    this.#byTask.set(strike.task, ofTask);
    ofTask.add(listed);
  }

  delete({ field, task }: Strike): void {
    const listed = this.#strikes.get(field);
    if (!listed) return;
    this.#strikes.delete(field);
    const ofTask = this.#byTask.get(task)!;
    ofTask.delete(listed);
    if (ofTask.isEmpty) this.#byTask.delete(task);
  }

  /** Replaces the list. Strikes that were on it before stay as they are and do not warn a second time. */
  replaceAll(strikes: Iterable<Strike>): void {
    const fields = new Set<string>();
    for (const strike of strikes) {
      fields.add(strike.field);
      this.add(strike);
    }
    for (const { strike } of [...this.#strikes.values()]) if (!fields.has(strike.field)) this.delete(strike);
  }

  /**
   * Finds a strike that meets an execution; `null` when none does.
   * @param task - name of its task; `null` to look at the arguments alone
   * @param read - returns the arguments of these names that exist; called only when a strike names one
   */
  find(task: string | null, read: (names: readonly string[]) => ReadonlyMap<string, Picked>): Strike | null {
    if (this.#strikes.size === 0) return null;
    const ofTask = task === null ? undefined : this.#byTask.get(task);
    if (ofTask?.whole) return ofTask.whole.strike;
    const ofAny = this.#byTask.get(null);
    const names = namesOf(ofTask, ofAny);
    if (names.length === 0) return null;
    const values = read(names);
    const found = ofTask?.find(values, this.#warn) ?? ofAny?.find(values, this.#warn);
    return found?.strike ?? null;
  }

  /** Finds a strike that meets an execution with these arguments; `null` when none does. */
  findFor(task: string | null, args: object): Strike | null {
    return this.find(task, (names) => {
      const picked = new Map<string, Picked>();
      for (const name of names) {
        const value = Object.hasOwn(args, name) ? pickedOf((args as Record<string, unknown>)[name]) : undefined;
        if (value) picked.set(name, value);
      }
      return picked;
    });
  }

  readonly #warn = (listed: ListedStrike, value: Picked): void => {
    if (listed.hasWarned) return;
    listed.hasWarned = true;
    const { parameter, low } = listed.strike.test!;
    const kinds = `${parameter} was ${wordFor(value)}, which cannot be compared with ${wordFor(low)}`;
    this.#onIncomparable(`the strike of ${describeStrike(listed.strike)} did not apply: ${kinds}`);
  };
}

interface ListedStrike {
  readonly strike: Strike;
  /** Whether it met a value that it cannot be compared with. */
  hasWarned: boolean;
}

type Warn = (listed: ListedStrike, value: Picked) => void;

/** The strikes of one task, or those of any task. */
class TaskStrikes {
  /** The strike of the task as a whole. */
  whole: ListedStrike | null = null;
  /** Strikes by a parameter, under its name. */
  readonly #groups = new Map<string, ParameterStrikes>();
  #names: readonly string[] | null = null;

  /** Names of the parameters that the strikes compare. */
  get names(): readonly string[] {
    this.#names ??= [...this.#groups.keys()];
    return this.#names;
  }

  get isEmpty(): boolean {
    return this.whole === null && this.#groups.size === 0;
  }

  add(listed: ListedStrike): void {
    const { test } = listed.strike;
    if (test === null) {
      this.whole = listed;
      return;
    }
    const group = this.#groups.get(test.parameter);
    if (group) return group.add(listed, test);
    const first = new ParameterStrikes();
    first.add(listed, test);
    this.#groups.set(test.parameter, first);
    this.#names = null;
  }

  delete(listed: ListedStrike): void {
    const { test } = listed.strike;
    if (test === null) {
      this.whole = null;
      return;
    }
    const group = this.#groups.get(test.parameter)!;
    group.delete(listed, test);
    if (!group.isEmpty) return;
    this.#groups.delete(test.parameter);
    this.#names = null;
  }

  find(values: ReadonlyMap<string, Picked>, warn: Warn): ListedStrike | undefined {
    for (const [name, value] of values) {
      const found = this.#groups.get(name)?.find(value, warn);
      if (found) return found;
    }
    return undefined;
  }
}

/** The strikes by the value of one parameter. */
class ParameterStrikes {
  /** Those with `==`, by the value they compare with. */
  readonly #equal = new Map<Kind, Map<string, ListedStrike>>();
  /** Those with `==` that have not warned yet. They are visited when a value of another kind comes. */
  readonly #silent = new Map<Kind, Set<ListedStrike>>();
  readonly #others = new Set<ListedStrike>();

  get isEmpty(): boolean {
    return this.#equal.size === 0 && this.#others.size === 0;
  }

  add(listed: ListedStrike, { operator, low }: StrikeTest): void {
    if (operator !== '==') {
      this.#others.add(listed);
      return;
    }
    const kind = kindOf(low);
    this.#equal.set(kind, (this.#equal.get(kind) ?? new Map()).set(identityOf(low), listed));
    this.#silent.set(kind, (this.#silent.get(kind) ?? new Set()).add(listed));
  }

  delete(listed: ListedStrike, { operator, low }: StrikeTest): void {
    if (operator !== '==') {
      this.#others.delete(listed);
      return;
    }
    const kind = kindOf(low);
    const byValue = this.#equal.get(kind)!;
    byValue.delete(identityOf(low));
    this.#silent.get(kind)!.delete(listed);
    if (byValue.size > 0) return;
    this.#equal.delete(kind);
    this.#silent.delete(kind);
  }

  find(value: Picked, warn: Warn): ListedStrike | undefined {
    const kind = kindOf(value);
    const equal = value.type === 'other' ? undefined : this.#equal.get(kind)?.get(identityOf(value));
    if (equal) return equal;
    for (const [other, silent] of this.#silent) {
      if (silent.size === 0 || isEquatable(kind, other)) continue;
      for (const listed of silent) warn(listed, value);
      silent.clear();
    }
    for (const listed of this.#others) {
      const isMet = meets(value, listed.strike.test!);
      if (isMet) return listed;
      if (isMet === null) warn(listed, value);
    }
    return undefined;
  }
}

/** Kinds of values. Values are compared within their kind only; numbers and bigints are of one kind. */
type Kind = 'string' | 'number' | 'boolean' | 'date' | 'null' | 'other';

function kindOf({ type }: Picked): Kind {
  return type === 'bigint' ? 'number' : type;
}

/** Tells whether values of these kinds can be compared for equality; `null` differs from every other value. */
function isEquatable(a: Kind, b: Kind): boolean {
  return a === b || (a !== 'other' && (a === 'null' || b === 'null'));
}

/** Returns a text that is the same for equal values of one kind. */
function identityOf({ value }: Scalar): string {
  if (typeof value === 'bigint') return value.toString(16); // takes linear time, in contrast to decimal
  if (typeof value !== 'number' || !Number.isInteger(value)) return String(value);
  return Number.isSafeInteger(value) ? value.toString(16) : BigInt(value).toString(16);
}

/** Tells whether a value passes a test other than `==`; `null` when the two cannot be compared. */
function meets(value: Picked, { operator, low, high }: StrikeTest): boolean | null {
  const kind = kindOf(value);
  if (value.type === 'other') return null;
  if (operator === '!=') return isEquatable(kind, kindOf(low)) ? !isEqual(value, low) : null;
  if (kind !== kindOf(low) || !ORDERED.includes(kind)) return null;
  const [given, from, to] = [value.value!, low.value!, high.value!];
  switch (operator) {
    case '<':
      return given < from;
    case '<=':
      return given <= from;
    case '>':
      return given > from;
    case '>=':
      return given >= from;
    default:
      return given >= from && given <= to;
  }
}

function isEqual(a: Scalar, b: Scalar): boolean {
  return kindOf(a) === kindOf(b) && identityOf(a) === identityOf(b);
}

const OPERATORS: readonly unknown[] = ['==', '!=', '<', '<=', '>', '>=', 'between'] satisfies StrikeOperator[];
const ORDERED: readonly Kind[] = ['string', 'number', 'date'];
/** Maximum length of a canonical text in bytes. Every worker and producer holds the list in memory. */
const MAXIMUM_BYTES = 4_096;
const MAXIMUM_SHOWN = 60;

function namesOf(ofTask: TaskStrikes | undefined, ofAny: TaskStrikes | undefined): readonly string[] {
  if (!ofTask || ofTask.names.length === 0) return ofAny?.names ?? [];
  if (!ofAny || ofAny.names.length === 0) return ofTask.names;
  return [...new Set([...ofTask.names, ...ofAny.names])];
}

function checkName(name: unknown, option: string): asserts name is string {
  if (typeof name === 'string' && name !== '') return;
  throw new InvalidOptionError(option, `expected a name, a string that is not empty, got ${name === '' ? "''" : name}`);
}

function checkSize(strike: Strike): Strike {
  const bytes = Buffer.byteLength(strike.field);
  if (bytes <= MAXIMUM_BYTES) return strike;
  throw new InvalidOptionError('value', `expected a strike of up to ${MAXIMUM_BYTES} bytes, got ${bytes}`);
}

function endsOf(operator: StrikeOperator, value: StrikeOperand | undefined): { low: Scalar; high: Scalar } {
  if (operator !== 'between') {
    const low = scalarOf(value);
    if (operator !== '==' && operator !== '!=') checkOrdered(low);
    return { low, high: low };
  }
  if (!Array.isArray(value) || value.length !== 2) {
    throw new InvalidOptionError('value', 'expected two values for between: [low, high]');
  }
  const [low, high] = [scalarOf(value[0]), scalarOf(value[1])];
  checkOrdered(low);
  if (kindOf(low) !== kindOf(high)) {
    throw new InvalidOptionError(
      'value',
      `expected two values that can be compared, got ${wordFor(low)} and ${wordFor(high)}`,
    );
  }
  if (low.value! > high.value!) {
    throw new InvalidOptionError('value', `expected the lower end first, got ${textOf(low)} and ${textOf(high)}`);
  }
  return { low, high };
}

function scalarOf(value: unknown): Scalar {
  const picked = pickedOf(value);
  if (!picked || picked.type === 'other') {
    const got = picked ? wordFor(picked) : 'nothing';
    throw new InvalidOptionError('value', `expected a string, number, bigint, boolean, Date or null, got ${got}`);
  }
  if (Number.isNaN(picked.value))
    throw new InvalidOptionError('value', `expected a value that can be compared, got ${String(value)}`);
  return picked.type === 'number' || picked.type === 'bigint' ? numericOf(picked.value) : picked;
}

/** Returns one form for equal numbers, so that 1 and 1n make the same strike. */
function numericOf(value: number | bigint): Scalar {
  if (Number.isSafeInteger(Number(value))) return { type: 'number', value: Number(value) + 0 }; // turns -0 into 0
  if (typeof value === 'number' && !Number.isInteger(value)) return { type: 'number', value };
  return { type: 'bigint', value: BigInt(value) };
}

function checkOrdered(scalar: Scalar): void {
  if (ORDERED.includes(kindOf(scalar))) return;
  throw new InvalidOptionError('value', `expected a value that has an order, got ${wordFor(scalar)}`);
}

function taggedOf({ type, value }: Scalar): unknown {
  if (type === 'bigint') return { bigint: String(value) };
  if (type === 'date') return { date: value };
  return type === 'number' && !Number.isFinite(value) ? { number: String(value) } : value;
}

function bareValueOf({ type, value }: Scalar): StrikeValue {
  return type === 'date' ? new Date(value) : value;
}

function untagged(tagged: unknown): unknown {
  if (typeof tagged !== 'object' || tagged === null) return tagged;
  const { bigint, date, number } = tagged as Record<string, unknown>;
  if (typeof bigint === 'string') return BigInt(bigint);
  return typeof date === 'number' ? new Date(date) : Number(number);
}

function wordFor(value: Picked): string {
  switch (value.type) {
    case 'string':
      return 'text';
    case 'other':
      return value.value;
    case 'null':
      return 'null';
    default:
      return `a ${value.type === 'date' ? 'Date' : value.type}`;
  }
}

function textOf({ type, value }: Scalar): string {
  if (type === 'string') return `'${shortened(value)}'`;
  if (type === 'date') return new Date(value).toISOString();
  return type === 'bigint' ? `${shortened(String(value))}n` : String(value);
}

function shortened(text: string): string {
  return text.length > MAXIMUM_SHOWN ? `${text.slice(0, MAXIMUM_SHOWN)}…` : text;
}
