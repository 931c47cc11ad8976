/**
 * Builds the names of everything docket keeps in Redis; nothing else builds a key.
 *
 * All names of one partition share a hash tag, so that scripts work on a cluster: `{name}` for partition 0 of every docket,
 * `{name/tag}` for any other. The name of a docket has no slash, so partitions never meet another docket. The ACL patterns
 * `~{name}:*` and `&{name}:*` cover partition 0, and `~{name/*` and `&{name/*` the others. Keys that users choose come behind a
 * suffix of their own (`run:`), so that they cannot meet another key. All databases of a server share its channels, so their names
 * have the number of the database, unless it is 0.
 */
import { InvalidOptionError } from '../core/errors.js';
import { CHANNEL, KEY, STREAM, STREAM_NAMES, type StreamName } from './schema.js';

const DOCKET_NAME = /^[A-Za-z0-9_.-]{1,128}$/;

/** The tag of a partition has no characters that end a hash tag or separate tags. */
const PARTITION_TAG = /^[A-Za-z0-9.]{1,32}$/;

/**
 * The keys and channels of one partition of a docket, by their names in the schema. A suffix that ends with a colon is
 * a function.
 */
export type Keys = { readonly prefix: string; readonly db: number } & Named<typeof KEY> & Named<typeof CHANNEL>;

type Named<Suffixes> = {
  readonly [Name in keyof Suffixes]: Suffixes[Name] extends `${string}:` ? (name: string) => string : string;
};

export interface KeysOptions {
  /** Number of the database. @default 0 */
  readonly db?: number;
  /** Tag of the partition; '' for partition 0. @default '' */
  readonly tag?: string;
}

/**
 * Names the keys and channels of one partition of a docket.
 * @throws InvalidOptionError when the name has characters other than letters, digits, `_`, `.` and `-`
 */
export function keysOf(docket: string, { db = 0, tag = '' }: KeysOptions = {}): Keys {
  if (!DOCKET_NAME.test(docket)) {
    throw new InvalidOptionError('name', `a docket's name has letters, digits, '_', '.' and '-' only, got '${docket}'`);
  }
  if (tag !== '' && !isPartitionTag(tag)) throw new Error(`a partition cannot have the tag '${tag}'`);
  const prefix = tag === '' ? `{${docket}}:` : `{${docket}/${tag}}:`;
  return { prefix, db, ...namesBehind(prefix, KEY), ...namesBehind(channelPrefix(prefix, db), CHANNEL) } as Keys;
}

/** Whether a text can be the tag of a partition other than 0. */
export function isPartitionTag(text: string): boolean {
  return PARTITION_TAG.test(text);
}

/** Returns what the names of all channels begin with, in the partition that has this key. */
export function channelPrefix(key: string, db: number): string {
  const prefix = key.slice(0, key.indexOf('}:') + 2);
  return db === 0 ? prefix : `${prefix}@${db}:`;
}

/** Returns the hash tag that all keys of a partition share, with its braces. */
export function hashTagOf({ prefix }: Pick<Keys, 'prefix'>): string {
  return prefix.slice(0, -1);
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
