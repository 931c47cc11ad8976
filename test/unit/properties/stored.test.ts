/** Whatever another program has written to Redis, or publishes, or a server replies: what reads it goes on. */
import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { DurationCounts } from '../../../src/core/duration-counts.js';
import { UndecodableValueError } from '../../../src/core/errors.js';
import { timeOfId } from '../../../src/core/ids.js';
import { listChains } from '../../../src/redis/chain-index.js';
import { readEntry } from '../../../src/redis/entry.js';
import { parseEvent } from '../../../src/redis/events.js';
import { parseFailedAttempts } from '../../../src/redis/failed-attempts.js';
import { listFailures } from '../../../src/redis/failure-store.js';
import { liveLeases, liveWorkers, readPolicies, workerNameOf } from '../../../src/redis/fleet-store.js';
import { addStored, readHistory } from '../../../src/redis/history-store.js';
import { keysOf } from '../../../src/redis/keys.js';
import { layoutSource, loadLayout } from '../../../src/redis/layout-store.js';
import { listFrom, startOf } from '../../../src/redis/listing-store.js';
import { loadPauses, pauseSource } from '../../../src/redis/pause-store.js';
import { readExecution } from '../../../src/redis/producer-store.js';
import { readProgress, readProgressLines, readRecord, readState } from '../../../src/redis/record.js';
import { explainReply, isRefusal, meaningOf, movedTo, refusalOf } from '../../../src/redis/reply-errors.js';
import { LAYOUT, PAUSES, PROGRESS, RECORD, WORKER } from '../../../src/redis/schema.js';
import { permitsOf, readKnown } from '../../../src/redis/show-store.js';
import { identify } from '../../../src/redis/snapshot-store.js';
import { placedTime, storedTime } from '../../../src/redis/stored-time.js';
import { listStrikes, loadStrikes, strikeSource } from '../../../src/redis/strike-store.js';
import { parseChainText, upcomingRuns } from '../../../src/tasks/chain.js';
import { limitText, waitText } from '../../../src/tasks/limit-text.js';
import { policiesWith } from '../../../src/tasks/overrides.js';
import { anyBytes, anyText, holds, holdsAsync, nearlyNumber, PATIENCE_MS } from '../../support/properties.js';

const keys = keysOf('d', { db: 0 });
const field = fc.oneof(anyText, nearlyNumber);
const buffer = fc.oneof(
  field.map((text) => Buffer.from(text)),
  anyBytes,
);

/** Fields of a hash: those of the schema and others, with any values. */
function fieldsWith(schema: Readonly<Record<string, string>>): fc.Arbitrary<Map<string, Buffer>> {
  const name = fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...Object.values(schema)) }, anyText);
  return fc.array(fc.tuple(name, buffer), { maxLength: 20 }).map((entries) => new Map(entries));
}

/** A connection that replies to everything with this. */
function replying(reply: unknown): Redis {
  const answer = async () => reply;
  return new Proxy({ options: { db: 0 }, time: async () => ['1', '0'] } as object, {
    get: (target, name) => Reflect.get(target, name) ?? answer,
  }) as Redis;
}

const rawFields = fc.array(buffer, { maxLength: 24 });
const dates = (...times: readonly (number | null)[]) => {
  for (const time of times) if (time !== null) new Date(time).toISOString();
};

describe('records, entries and events', { timeout: PATIENCE_MS }, () => {
  test('are read whatever their fields are, and every time in them is one that a Date can have', () => {
    const stateless = fieldsWith(RECORD).map((fields) => fields.set(RECORD.state, Buffer.from('queued')));
    holds(fc.tuple(stateless, buffer, fc.nat()), ([fields, message, timeUs]) => {
      const { dueMs, startedMs, completedMs } = readRecord(fields, { timeUs, message });
      dates(dueMs, startedMs, completedMs);
    });
    holds(fieldsWith(RECORD), (fields) => {
      const { dueMs, startedMs, completedMs } = readState('running', 1, fields);
      dates(dueMs, startedMs, completedMs);
    });
    holds(fieldsWith(PROGRESS), (fields) => dates(readProgress(fields).updatedMs));
    holds(fc.array(anyText, { maxLength: 6 }), readProgressLines);
    holds(field, (text) => dates(storedTime(text), placedTime(text)));
    expect(storedTime('1e999')).toBeNull();
  });

  test('without a state are none', async () => {
    await holdsAsync(fc.tuple(rawFields, buffer), ([fields, message]) =>
      readExecution(replying([...fields, message]), keys, 'k'),
    );
    expect(await readExecution(replying([Buffer.from('x'), Buffer.from('y'), Buffer.alloc(0)]), keys, 'k')).toBeNull();
  });

  test('that are entries are read whatever their fields are', () => {
    const id = fc.oneof(fc.constant('1-1'), anyText).map((text) => Buffer.from(text));
    holds(fc.tuple(id, rawFields), ([entryId, fields]) => readEntry('w', [entryId, fields]));
    expect(readEntry('w', [Buffer.from('5-1'), []]).dueMs).toBe(5);
  });

  test('that are events have a sound shape, or are none', () => {
    const line = fc.oneof(anyText, fc.constantFrom('1 queued 5', '1 progress 5', '1 completed 5', 'r', 'e', ''));
    const event = fc.oneof(
      anyBytes,
      fc.array(line, { maxLength: 12 }).map((lines) => Buffer.from(lines.join('\n'))),
    );
    holds(event, (bytes) => {
      const found = parseEvent(bytes);
      if (found?.kind === 'state') dates(found.dueMs, found.startedMs, found.completedMs);
      if (found?.kind === 'progress') dates(found.progress.updatedMs);
    });
    expect(parseEvent(Buffer.from('x'))).toBeNull();
  });

  test('that are lists of failed attempts leave out what cannot be read', () => {
    const line = fc.array(field, { maxLength: 7 }).map((parts) => parts.join('\t'));
    holds(
      fc.array(line, { maxLength: 5 }).map((lines) => lines.join('\n')),
      (text) => {
        for (const { startedMs, failedMs } of parseFailedAttempts(text)) dates(startedMs, failedMs);
      },
    );
    expect(parseFailedAttempts('')).toEqual([]);
  });
});

describe('lists', { timeout: PATIENCE_MS }, () => {
  test('of failures are read whatever their fields are', async () => {
    const id = fc.oneof(fc.constant('1-1'), anyText).map((text) => Buffer.from(text));
    const reply = fc.tuple(buffer, fc.tuple(id, rawFields)).map(([next, failure]) => [next, failure]);
    const query = { task: null, errorName: null, sinceMs: null, untilMs: null, beforeId: null };
    await holdsAsync(reply, async (given) => {
      const { found } = await listFailures(replying(given), keys, query, { from: '+', wanted: 1 });
      for (const { addedMs, startedMs } of found) dates(addedMs, startedMs);
    });
  });

  test('of executions are read whatever their fields are', async () => {
    const match = fc.array(buffer, { minLength: 16, maxLength: 16 });
    const criteria = { task: '', states: ['queued'], test: null } as const;
    await holdsAsync(fc.tuple(buffer, fc.nat(), match), async ([next, looked, one]) => {
      const { found } = await listFrom(replying([next, looked, [one]]), keys, startOf('work'), criteria, 9);
      for (const { startedMs, dueMs, endedMs } of found) dates(startedMs, dueMs, endedMs);
    });
    await holdsAsync(fc.array(buffer, { minLength: 9, maxLength: 9 }), async (one) => {
      const [found] = await identify(replying([one]), keys, ['ew1-1']);
      dates(found?.startedMs ?? null);
    });
  });

  test('of chains are read whatever their fields are', async () => {
    const chain = fc.array(buffer, { minLength: 9, maxLength: 9 });
    await holdsAsync(chain, async (reply) => {
      const { chains } = await listChains(replying(reply), keys, null, null);
      for (const { dueMs, lastRun } of chains) dates(dueMs, lastRun?.endedMs ?? null);
    });
    const timing = fc.record(
      {
        everyMs: fc.oneof(fc.double(), fc.integer(), anyText),
        expression: fc.oneof(fc.constantFrom('* * * * *', '0 0 29 2 *', '0 0 31 2 *'), anyText),
        timezone: fc.oneof(fc.constant('Europe/Berlin'), anyText),
        isAutomatic: fc.oneof(fc.boolean(), anyText),
        untilMs: fc.oneof(fc.double(), fc.constant(null)),
        runsLeft: fc.oneof(fc.double(), fc.integer(), fc.constant(null)),
      },
      { requiredKeys: [], noNullPrototype: true },
    );
    const text = fc.oneof(
      anyText,
      fc.json(),
      timing.map((value) => JSON.stringify(value)),
    );
    holds(fc.tuple(text, fc.integer(), fc.boolean()), ([given, dueMs, isScheduled]) => {
      const found = parseChainText(given);
      if (found) dates(...upcomingRuns(found, { dueMs, isScheduled }, 0, 5));
    });
    expect(parseChainText('{}')).toBeNull();
  });

  test('of strikes and pauses leave out what is none, and so do the changes that are published', async () => {
    const hash = fc.dictionary(field, field, { maxKeys: 6, noNullPrototype: true });
    await holdsAsync(hash, async (fields) => {
      const redis = replying({ ...fields, [PAUSES.version]: '1' });
      await loadStrikes(redis, keys);
      dates(...(await listStrikes(redis, keys)).map(({ sinceMs }) => sinceMs));
      dates(...(await loadPauses(redis, keys)).map(({ sinceMs }) => sinceMs));
    });
    holds(anyText, (message) => {
      strikeSource(replying(null), keys).parseChange(message);
      pauseSource(replying(null), keys).parseChange(message);
      layoutSource(replying(null), keys).parseChange(message);
    });
  });

  test('of partitions never lead to the keys of another docket', async () => {
    const reply = fc.array(fc.option(field), { minLength: 3, maxLength: 3 });
    await holdsAsync(reply, async (given) => {
      const { tags, draining } = await loadLayout(replying(given), keys);
      for (const tag of [...tags, ...draining]) {
        const { work } = keysOf('d', { db: 0, tag });
        if (!/^\{d(\/[^{}/]+)?\}:/.test(work)) throw new Error(`it leads to ${work}`);
      }
    });
    expect(Object.values(LAYOUT)).toContain('version');
  });

  test('of workers are read whatever their heartbeats are', async () => {
    const heartbeat = fc.array(fc.option(fc.oneof(field, fc.json())), {
      minLength: Object.keys(WORKER).length,
      maxLength: Object.keys(WORKER).length,
    });
    await holdsAsync(fc.tuple(field, nearlyNumber, heartbeat), async ([consumer, expires, fields]) => {
      const redis = { ...replying(null), zrangebyscore: async () => [consumer, expires], hmget: async () => fields };
      for (const { tasks, logged, seenMs } of await liveWorkers(
        Object.assign(redis, { time: async () => ['1', '0'] }) as unknown as Redis,
        keys,
      )) {
        dates(seenMs);
        if (!tasks.every((task) => typeof task === 'string')) throw new Error('a task without a name');
        Object.entries(logged!);
      }
      workerNameOf(consumer);
    });
    await holdsAsync(fc.oneof(field, fc.json()), async (text) => {
      await readPolicies(replying(text), keys, ['a']);
      const redis = { zrangebyscore: async () => ['a'], hget: async () => text } as unknown as Redis;
      const lease = (await liveLeases(redis, keys, 0)).get('a')!;
      if (Number.isNaN(lease)) throw new Error('no time');
    });
    expect(workerNameOf('a:b')).toBe('a');
  });
});

describe('the history', { timeout: PATIENCE_MS }, () => {
  const sum = () => ({
    ...{ started: 0, succeeded: 0, failed: 0, retried: 0 },
    ...{ waiting: new DurationCounts(), duration: new DurationCounts() },
  });

  test('adds up pages of any text to finite counts, in bounded memory', () => {
    const name = fc.oneof(
      fc.constantFrom('s', 'o', 'f', 'r'),
      nearlyNumber.map((text) => `w${text}`),
      anyText,
    );
    const page = fc.dictionary(name, fc.oneof(fc.double(), fc.integer(), fc.jsonValue()), { noNullPrototype: true });
    holds(
      fc.oneof(
        anyText,
        fc.json(),
        page.map((counts) => JSON.stringify(counts)),
      ),
      (text) => {
        const total = sum();
        addStored(text, total);
        total.duration.quantile(0.99);
        if (!Number.isFinite(total.started)) throw new Error('no count');
      },
    );
  });

  test('is read minute by minute, whatever its fields are', async () => {
    await holdsAsync(fc.dictionary(field, field, { maxKeys: 4 }), async (fields) => {
      for await (const { atMs } of readHistory(replying(fields), keys, { minutes: 3, field: null })) dates(atMs);
    });
  });
});

describe('one execution', { timeout: PATIENCE_MS }, () => {
  test('is shown whatever its record, its entry and its place in line are', async () => {
    const known = fc.tuple(buffer, rawFields, fc.integer(), rawFields, fc.constantFrom('', 'w1-1'), rawFields);
    const rest = fc.tuple(buffer, buffer, buffer, fc.integer(), fc.integer(), buffer);
    await holdsAsync(fc.tuple(known, rest), async ([[now, stored, ttlMs, parked, token, entry], more]) => {
      const reply = [now, stored, ttlMs, parked, Buffer.from(token), entry, ...more];
      const shown = await readKnown(replying(reply), keys, 'k');
      dates(shown?.dueMs ?? null, shown?.placedMs ?? null, shown?.scheduledMs ?? null);
    });
    holds(anyText, permitsOf);
    expect(permitsOf('a 1')).toEqual([{ limit: 'a', max: 1 }]);
  });

  test('has limits and a wait that can be printed, whatever their names are', () => {
    const part = fc.oneof(
      anyText,
      nearlyNumber.map((text) => `d=${text}`),
      anyText.map((text) => `i=${text}`),
    );
    holds(
      fc.array(part, { maxLength: 4 }).map((parts) => parts.join(':')),
      (name) => {
        limitText(name);
        waitText(name);
      },
    );
    holds(anyText, timeOfId);
    expect(limitText('lim:c:s=z')).toBe("lim c 'z'");
  });

  test('has the policies of its overrides, or an UndecodableValueError', () => {
    const policy = fc.record(
      {
        retry: fc.record({
          kind: fc.constantFrom('retry', 'x'),
          attempts: fc.oneof(fc.double(), fc.constant(null)),
          minimumDelayMs: fc.double(),
          maximumDelayMs: fc.double(),
          factor: fc.double(),
          jitter: fc.double(),
        }),
        timeoutMs: fc.jsonValue(),
        perpetual: fc.record({
          kind: fc.constantFrom('perpetual', 'cron'),
          everyMs: fc.double(),
          expression: anyText,
          timezone: anyText,
        }),
        untilMs: fc.jsonValue(),
        runsLeft: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    const text = fc.oneof(
      anyText,
      fc.json(),
      policy.map((value) => JSON.stringify(value)),
    );
    holds(text, (given) => policiesWith({}, given), [UndecodableValueError]);
    expect(() => policiesWith({}, 'x')).toThrow(UndecodableValueError);
  });
});

describe('error replies', { timeout: PATIENCE_MS }, () => {
  test('are explained, whatever their text is', () => {
    const code = fc.constantFrom('MOVED 1 a:1', 'MOVED 1 :0', 'ASK', 'NOPERM', 'OOM', 'READONLY', 'constructor', '');
    holds(fc.tuple(code, anyText), ([begin, end]) => {
      const error = new Error(`${begin} ${end}`);
      explainReply(error);
      refusalOf(error);
      movedTo(error);
      meaningOf(error);
      isRefusal(error);
    });
    expect(movedTo(new Error('MOVED 7 host:1'))).toEqual({ host: 'host', port: 1 });
  });
});
