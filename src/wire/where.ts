/** Picks executions by their arguments: each named argument must equal a value, as a strike with `==` compares it. */
import { InvalidOptionError, UndecodableValueError } from '../core/errors.js';
import { Envelope } from './envelope.js';
import { pickArguments } from './pick.js';
import { Strikes, type StrikeValue, strikeOf } from './strikes.js';

/** Values of arguments, by name. Numbers and bigints compare with each other; all other values with their own kind only. */
export type Where = Readonly<Record<string, StrikeValue>>;

/** Every execution that is looked at is compared with all of them. */
const MAXIMUM_NAMES = 16;

/**
 * Returns a function that tells whether a message has all these arguments; `null` when none is named. A message that cannot be
 * read has none.
 * @throws InvalidOptionError naming the argument whose value cannot be compared
 */
export function whereOf(where: Where | undefined): ((message: Uint8Array) => boolean) | null {
  if (where === undefined) return null;
  if (typeof where !== 'object' || where === null || Array.isArray(where)) {
    throw new InvalidOptionError('where', 'expected an object with arguments and their values');
  }
  const names = Object.keys(where);
  if (names.length === 0) return null;
  if (names.length > MAXIMUM_NAMES) {
    throw new InvalidOptionError('where', `expected up to ${MAXIMUM_NAMES} arguments, got ${names.length}`);
  }
  const tests = names.map((name) => equalTo(name, where[name]!));
  return (message) => {
    try {
      const envelope = new Envelope(message);
      if (!envelope.isReadable) return false;
      const picked = pickArguments(envelope.args, names);
      return tests.every((test) => test.find(null, () => picked) !== null);
    } catch (error) {
      if (error instanceof UndecodableValueError) return false;
      throw error;
    }
  };
}

/** A list with the one strike that an equal argument meets. */
function equalTo(name: string, value: StrikeValue): Strikes {
  const list = new Strikes(() => {});
  try {
    list.add(strikeOf(null, name, '==', value));
  } catch (error) {
    if (!(error instanceof InvalidOptionError)) throw error;
    throw new InvalidOptionError(`where.${name}`, error.message.replace(/^\w+: /, ''));
  }
  return list;
}
