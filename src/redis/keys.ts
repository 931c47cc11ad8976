/**
 * Builds the names of everything docket keeps in Redis; nothing else builds a key.
 *
 * All names of one docket share the hash tag `{name}`, so that scripts work on a cluster and one ACL pattern,
 * `~{name}:*` and `&{name}:*`, covers a docket. Keys that users choose are put behind a suffix of their own (`run:`),
 * so that they cannot meet another key. All databases of a server share its channels, so their names have the number of
 * the database, unless it is 0.
 */
import { InvalidOptionError } from '../core/errors.js';
import { CHANNEL, KEY, STREAM, STREAM_NAMES, type StreamName } from './schema.js';

const DOCKET_NAME = /^[A-Za-z0-9_.-]{1,128}$/;

/** The keys and channels of one docket, by their names in the schema. A suffix that ends with a colon is a function. */
export type Keys = { readonly prefix: string } & Named<typeof KEY> & Named<typeof CHANNEL>;

type Named<Suffixes> = {
  readonly [Name in keyof Suffixes]: Suffixes[Name] extends `${string}:` ? (name: string) => string : string;
};

/**
 * Names the keys and channels of a docket.
 * @param db - number of the database
 * @throws InvalidOptionError when the name has characters other than letters, digits, `_`, `.` and `-`
 */
export function keysOf(docket: string, db = 0): Keys {
  if (!DOCKET_NAME.test(docket)) {
    throw new InvalidOptionError('name', `a docket's name has letters, digits, '_', '.' and '-' only, got '${docket}'`);
  }
  const prefix = `{${docket}}:`;
  return { prefix, ...namesBehind(prefix, KEY), ...namesBehind(channelPrefix(prefix, db), CHANNEL) } as Keys;
}

/** Returns what the names of all channels begin with, in the docket that has this key. */
export function channelPrefix(key: string, db: number): string {
  const prefix = key.slice(0, key.indexOf('}:') + 2);
  return db === 0 ? prefix : `${prefix}@${db}:`;
}

function namesBehind(prefix: string, suffixes: Readonly<Record<string, string>>): object {
  const names = Object.entries(suffixes).map(([name, suffix]) => {
    const start = prefix + suffix;
    return [name, suffix.endsWith(':') ? (rest: string) => start + rest : start];
  });
  return Object.fromEntries(names);
}

/** Returns the name of the stream with this letter; `undefined` when no stream has it. */
export function streamNamed(letter: string | undefined): StreamName | undefined {
  return STREAM_NAMES.find((name) => STREAM[name] === letter);
}
