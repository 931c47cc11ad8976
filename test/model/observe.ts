/** Reads everything that there is in the database of a sequence, in one script, and says where each execution is. */
import type { Redis } from 'ioredis';
import type { Token } from '../../src/redis/delivery-store.js';
import { schema } from './built.js';

const { ENTRY, FAILURE, PARKED, RECORD, STREAM, LETTER } = schema;

const DUMP = `
local reply = {}
for _, name in ipairs(redis.call('KEYS', '*')) do
  local type = redis.call('TYPE', name).ok
  local content, pending = {}, {}
  if type == 'hash' then content = redis.call('HGETALL', name)
  elseif type == 'zset' then content = redis.call('ZRANGE', name, 0, -1, 'WITHSCORES')
  elseif type == 'set' then content = redis.call('SMEMBERS', name)
  elseif type == 'string' then content = redis.call('GET', name)
  elseif type == 'stream' then
    content = redis.call('XRANGE', name, '-', '+')
    pending = redis.pcall('XPENDING', name, '${schema.GROUP}', '-', '+', 1000)
    if pending.err then pending = {} end
  end
  reply[#reply + 1] = { name, type, redis.call('PTTL', name), content, pending }
end
redis.call('SET', 'clock', ARGV[1])
return reply`;

let dumpSha: string | undefined;

export interface ObservedEntry {
  readonly token: Token;
  /** Number of the execution, from its message. */
  readonly n: number;
  readonly fields: ReadonlyMap<string, string>;
  readonly pending: { readonly consumer: string; readonly idleMs: number; readonly count: number } | null;
}

export interface ObservedRecord {
  readonly fields: ReadonlyMap<string, string>;
  readonly ttlMs: number;
}

/** What one partition has. */
export interface Observed {
  readonly entries: ReadonlyMap<Token, ObservedEntry>;
  readonly schedule: ReadonlyMap<string, number>;
  /** Lines at limits and of paused tasks: members with their tickets. */
  readonly lines: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly records: ReadonlyMap<string, ObservedRecord>;
  readonly parked: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly failures: readonly { readonly id: string; readonly n: number; readonly kind: string }[];
  readonly taken: ReadonlyMap<string, string>;
  readonly permits: ReadonlyMap<string, string>;
  readonly waiting: ReadonlySet<string>;
  readonly wakes: ReadonlySet<string>;
  readonly superseded: ReadonlySet<string>;
  readonly chains: ReadonlySet<string>;
  readonly cancelled: ReadonlySet<string>;
  readonly rates: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly bookings: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** Keys without a TTL, behind the prefix. */
  readonly permanent: readonly string[];
}

type Raw = [name: string, type: string, ttlMs: number, content: unknown, pending: [string, string, number, number][]];

/** Returns what each of the partitions with these prefixes has, and sets the clock of the server (`clock.ts`). */
export async function observe(redis: Redis, prefixes: readonly string[], nextMs: number): Promise<Observed[]> {
  dumpSha ??= String(await redis.script('LOAD', DUMP));
  const all = texts(await redis.callBuffer('EVALSHA', [dumpSha, '0', `${nextMs}000`])) as Raw[];
  return prefixes.map((prefix) =>
    observed(
      all.filter(([name]) => name.startsWith(prefix)),
      prefix,
    ),
  );
}

function observed(all: readonly Raw[], prefix: string): Observed {
  const found = new Map(all.map((raw) => [raw[0].slice(prefix.length), raw]));
  const hash = (name: string) => mapOf((found.get(name)?.[3] ?? []) as string[]);
  const sorted = (name: string) => scoresOf((found.get(name)?.[3] ?? []) as string[]);
  const family = <T>(start: string, read: (name: string) => T) =>
    new Map(
      [...found.keys()].filter((name) => name.startsWith(start)).map((name) => [name.slice(start.length), read(name)]),
    );
  const entries = new Map<Token, ObservedEntry>();
  for (const name of schema.STREAM_NAMES) {
    const [, , , content, pending] = found.get(schema.KEY[name]) ?? [];
    const owners = new Map((pending ?? []).map(([id, consumer, idleMs, count]) => [id, { consumer, idleMs, count }]));
    for (const [id, list] of (content ?? []) as [string, string[]][]) {
      const fields = mapOf(list);
      const token: Token = `${STREAM[name]}${id}`;
      entries.set(token, { token, n: numberIn(fields.get(ENTRY.message)), fields, pending: owners.get(id) ?? null });
    }
  }
  const failures = ((found.get(schema.KEY.failures)?.[3] ?? []) as [string, string[]][]).map(([id, list]) => {
    const fields = mapOf(list);
    return { id, n: numberIn(fields.get(FAILURE.message)), kind: fields.get(FAILURE.kind) ?? '' };
  });
  return {
    entries,
    failures,
    schedule: sorted(schema.KEY.schedule),
    lines: family(schema.KEY.limit, sorted),
    records: family(schema.KEY.record, (name) => ({ fields: hash(name), ttlMs: found.get(name)![2] })),
    parked: family(schema.KEY.parked, hash),
    taken: hash(schema.KEY.permitsTaken),
    permits: hash(schema.KEY.permits),
    waiting: new Set(hash(schema.KEY.waiting).keys()),
    wakes: new Set(sorted(schema.KEY.wakes).keys()),
    superseded: new Set((found.get(schema.KEY.superseded)?.[3] ?? []) as string[]),
    chains: new Set(sorted(schema.KEY.chains).keys()),
    cancelled: new Set(sorted(schema.KEY.cancelled).keys()),
    rates: family(schema.KEY.rate, sorted),
    bookings: family(schema.KEY.booked, sorted),
    permanent: [...found].filter(([, [, , ttlMs]]) => ttlMs === -1).map(([name]) => name),
  };
}

/** Returns the number of the execution that has this message: its only argument is `<number>`. */
function numberIn(message: string | undefined): number {
  return Number(/<(\d+)>/.exec(message ?? '')?.[1] ?? Number.NaN);
}

/** Returns the number of the execution that has this member of the schedule or of a line; `NaN` when its message is lost. */
export function numberOfMember({ records, parked }: Observed, member: string): number {
  const name = member.slice(1);
  const fields = member.startsWith(LETTER.recorded) ? records.get(name)?.fields : parked.get(name);
  return numberIn(fields?.get(PARKED.message));
}

/** Returns the token of the entry that a record names; '' for none. */
export function entryOf(record: ObservedRecord | undefined): string {
  return record?.fields.get(RECORD.entry) ?? '';
}

function texts(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(texts);
  return Buffer.isBuffer(value) ? value.toString('latin1') : value;
}

function mapOf(list: readonly string[]): Map<string, string> {
  const map = new Map<string, string>();
  for (let at = 0; at + 1 < list.length; at += 2) map.set(list[at]!, list[at + 1]!);
  return map;
}

function scoresOf(list: readonly string[]): Map<string, number> {
  return new Map([...mapOf(list)].map(([member, score]) => [member, Number(score)]));
}
