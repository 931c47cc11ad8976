/** Whatever people, files and variables give as text: it is read, or refused by the error that names the option. */
import { InvalidArgumentError } from 'commander';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  durationArgument,
  parseArguments,
  parseSince,
  parseStrikeValue,
  parseWhen,
  wholeNumber,
} from '../../../src/cli/values.js';
import { workerCommand } from '../../../src/cli/worker-flags.js';
import { resolveConnection } from '../../../src/client/connection-options.js';
import { resolveDocketOptions } from '../../../src/client/options.js';
import { parseDuration, toMs } from '../../../src/core/duration.js';
import { DocketError, InvalidOptionError, TaskModuleError } from '../../../src/core/errors.js';
import { checkKey } from '../../../src/core/execution-key.js';
import { keysOf } from '../../../src/redis/keys.js';
import { maskUrl, parseRedisUrl } from '../../../src/redis/url.js';
import { argumentText } from '../../../src/tasks/argument-text.js';
import { checkCron, nextCronMs } from '../../../src/tasks/cron.js';
import { locateModule, parseReference } from '../../../src/tasks/reference.js';
import { resolveWorkerOptions } from '../../../src/worker/options.js';
import { anyText, anyValue, holds, nearlyNumber, PATIENCE_MS } from '../../support/properties.js';

const text = fc.oneof(anyText, nearlyNumber);

describe('a duration', { timeout: PATIENCE_MS }, () => {
  const durations = fc.oneof(
    text,
    fc.tuple(nearlyNumber, fc.constantFrom('ms', 's', 'm', 'h', 'd', ' s', 'S')).map((parts) => parts.join('')),
    fc
      .tuple(fc.option(nearlyNumber), fc.nat({ max: 99 }), fc.nat({ max: 99 }))
      .map((parts) => parts.filter((it) => it !== null).join(':')),
  );

  test('is a whole number of milliseconds within 10,000 years, or is refused', () => {
    const checked = (ms: number) => {
      if (!Number.isSafeInteger(ms) || ms < 0 || ms > 3_650_000 * 86_400_000) throw new Error(`${ms} is no duration`);
    };
    holds(durations, (given) => checked(parseDuration(given, 'o')), [InvalidOptionError]);
    holds(durations, (given) => checked(toMs(given as never, 'o')), [InvalidOptionError]);
    holds(fc.oneof(fc.double(), anyValue), (given) => checked(toMs(given as never, 'o')), [InvalidOptionError]);
    holds(durations, (given) => checked(durationArgument(given)), [InvalidOptionError]);
  });

  test('or a date is a point in time, or is refused', () => {
    const dates = fc.oneof(
      durations,
      fc.tuple(fc.nat({ max: 99_999 }), anyText).map((parts) => parts.join('-')),
    );
    holds(
      dates,
      (given) => {
        const when = parseWhen(given);
        if (typeof when !== 'number') when.toISOString();
      },
      [InvalidOptionError],
    );
    holds(dates, (given) => parseSince(given).toISOString(), [InvalidArgumentError]);
  });
});

describe('a cron expression', { timeout: PATIENCE_MS }, () => {
  const part = fc.oneof(
    fc.nat({ max: 70 }).map(String),
    fc.constantFrom(
      '*',
      '*/5',
      '1-5',
      '5-1',
      'MON-FRI',
      'L',
      'W',
      '15W',
      '#',
      'MON#5',
      '?',
      '*/0',
      '0-59/1',
      'JAN',
      '',
    ),
    fc.array(fc.nat({ max: 70 }), { minLength: 1, maxLength: 70 }).map((numbers) => numbers.join(',')),
    anyText,
  );
  const expressions = fc.oneof(
    fc.array(part, { minLength: 4, maxLength: 7 }).map((parts) => parts.join(' ')),
    fc.constantFrom('@daily', '@never', '0 0 31 2 *', '0 0 29 2 MON', '* * * * * *', '0 0 0 0 0'),
    text,
  );
  const zones = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('UTC', 'Europe/Berlin', 'Australia/Lord_Howe') },
    text,
  );

  test('has a next match, or is refused', () => {
    const times = fc.integer({ min: 0, max: 4_102_444_800_000 });
    holds(
      fc.tuple(expressions, zones, times),
      ([expression, zone, after]) => {
        checkCron(expression, zone);
        if (nextCronMs(expression, zone, after) <= after) throw new Error('not later');
      },
      [InvalidOptionError],
    );
  });

  test('of any length is refused before it is read', () => {
    const expression = `${'1,'.repeat(5_000_000)}1 * * * *`;
    expect(() => checkCron(expression, 'UTC')).toThrow(InvalidOptionError);
  });
});

describe('the URL of a server', { timeout: PATIENCE_MS }, () => {
  const scheme = fc.constantFrom(
    ...['redis', 'rediss', 'valkey', 'unix', 'memory', 'redis+sentinel', 'rediss+cluster', 'http', 'REDIS', ''],
  );
  const url = fc.oneof(
    text,
    fc.tuple(scheme, text, text, text).map(([name, login, host, path]) => `${name}://${login}@${host}/${path}`),
    fc.tuple(scheme, text, text).map(([name, host, query]) => `${name}://${host}?${query}`),
  );

  test('is read, or refused', () => {
    holds(url, parseRedisUrl, [InvalidOptionError]);
    holds(url, maskUrl);
    holds(url, (given) => resolveDocketOptions({ url: given, name: 'd' }), [InvalidOptionError]);
    expect(parseRedisUrl('redis://h').kind).toBe('server');
  });

  test('has its password, whichever characters that has, and no error or masked text shows it', () => {
    const password = fc.string({ unit: 'grapheme-ascii', minLength: 6, maxLength: 20 }).map((end) => `s3cret${end}`);
    const server = fc.constantFrom(
      ...['redis://app:PW@h:1/0', 'rediss://:PW@h', 'redis+sentinel://a:PW@h:1,i:2/m', 'redis+cluster://a:PW@h:1,i:2'],
      'unix://a:PW@/tmp/x?db=1',
    );
    holds(fc.tuple(server, password), ([form, secret]) => {
      const encoded = form.replace('PW', () => encodeURIComponent(secret));
      expect(parseRedisUrl(encoded)).toMatchObject({ password: secret });
      expect(maskUrl(encoded)).not.toContain('s3cret');
    });
    // Neither encoded nor followed by a sound host.
    const mistakes = fc.constantFrom(
      'redis://app:PW@h:x',
      'redis://PW@h/x',
      'redis://a:PW',
      'redis//a:PW@h',
      'redis://a:PW@h?password=PW',
    );
    holds(fc.tuple(mistakes, password), ([form, secret]) => {
      const given = form.replaceAll('PW', () => secret.replaceAll(':', '')); // in front of a colon is the user name, which is shown
      let shown = maskUrl(given);
      try {
        parseRedisUrl(given);
      } catch (error) {
        if (!(error instanceof InvalidOptionError)) throw error;
        shown += error.message;
      }
      expect(shown).not.toContain('s3cret');
    });
  });

  test('of a megabyte is read or refused in time that grows with its length only', () => {
    for (const one of ['@', ':', ',', '/', '?', '%40', 'a:1,', '[', '#', ' ']) {
      const long = `redis+sentinel://a:${one.repeat(1_000_000 / one.length)}`;
      maskUrl(long);
      expect(() => parseRedisUrl(long)).toThrow(InvalidOptionError);
    }
  });
});

describe('options', { timeout: PATIENCE_MS }, () => {
  const names = fc.oneof(
    fc.constantFrom(
      'name',
      'url',
      'executionTtl',
      'heartbeatInterval',
      'missedHeartbeats',
      'maxPayloadBytes',
      'durability',
      'errors',
      'tasks',
    ),
    fc.constantFrom(
      'docket',
      'threads',
      'concurrency',
      'partitions',
      'drainTimeout',
      'maxDeliveries',
      'failureTtl',
      'httpHost',
      'fallback',
    ),
    fc.constantFrom(
      'healthcheckPort',
      'metricsPort',
      'redeliveryTimeout',
      'maxThreadMemory',
      'logger',
      'keepArguments',
      'history',
    ),
    anyText,
  );
  const value = fc.oneof(
    text,
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.constant(undefined),
    anyValue,
  );
  const options = fc.dictionary(names, value, { maxKeys: 5 });

  test('of a docket and of a worker are accepted, or refused by the error that names one', () => {
    holds(options, (given) => resolveDocketOptions(given as never), [DocketError]);
    holds(options, (given) => resolveWorkerOptions(given as never), [DocketError]);
    expect(() => resolveDocketOptions({ name: '{' })).toThrow(InvalidOptionError);
  });

  test('of connections are accepted, or refused without a value of theirs', () => {
    const fields = fc.oneof(
      fc.constantFrom(
        'username',
        'password',
        'sentinelPassword',
        'natMap',
        'tls',
        'family',
        'keepAlive',
        'connectTimeout',
        'host',
      ),
      anyText,
    );
    const connection = fc.dictionary(fields, value, { maxKeys: 4 });
    const target = parseRedisUrl('rediss+sentinel://h/m');
    holds(connection, (given) => resolveConnection(given as never, target), [InvalidOptionError]);
    holds(value, (given) => resolveConnection(given as never, target), [InvalidOptionError]);
    expect(() => resolveConnection({ password: 5 } as never, target)).toThrow(InvalidOptionError);
  });

  test('that are flags or variables of a worker are accepted, or refused with one line', async () => {
    const flags = workerCommand('docket-worker').options.flatMap(({ long }) => (long ? [long] : []));
    const variables = workerCommand('docket-worker').options.flatMap(({ envVar }) => (envVar ? [envVar] : []));
    const before = { ...process.env };
    onTestFinished(() => {
      for (const name of variables) delete process.env[name];
      Object.assign(process.env, before);
    });
    const parse = (args: readonly string[], env: Readonly<Record<string, string>>) => {
      for (const name of variables) delete process.env[name];
      Object.assign(process.env, env);
      const lines: string[] = [];
      const command = workerCommand('docket-worker').configureOutput({
        writeOut: () => {},
        writeErr: (line) => void lines.push(line),
        outputError: (line) => void lines.push(line),
      });
      try {
        command.parse(args, { from: 'user' });
      } catch (error) {
        if ((error as { code?: string }).code?.startsWith('commander.')) return;
        throw error;
      }
    };
    const ofProcess = text.filter((one) => !one.includes('\0'));
    holds(fc.array(fc.oneof(fc.constantFrom(...flags), ofProcess), { maxLength: 5 }), (args) => parse(args, {}));
    holds(fc.dictionary(fc.constantFrom(...variables), ofProcess, { maxKeys: 4, noNullPrototype: true }), (env) =>
      parse([], env),
    );
    expect(flags).toContain('--threads');
  });
});

describe('other texts', { timeout: PATIENCE_MS }, () => {
  test('are accepted as names, keys and references, or refused', () => {
    holds(text, (name) => keysOf(name, { db: 0 }), [InvalidOptionError]);
    holds(fc.oneof(text, anyValue), checkKey, [InvalidOptionError]);
    holds(text, (reference) => {
      const { module, exportName } = parseReference(reference);
      if (exportName !== null && `${module}:${exportName}` !== reference) throw new Error('lost a part');
    });
    holds(text, (reference) => locateModule(reference, parseReference(reference).module, '/'), [TaskModuleError]);
    expect(parseReference('a.js:b')).toEqual({ module: 'a.js', exportName: 'b' });
  });

  test('of a command line are accepted as arguments, values and numbers, or refused', () => {
    holds(fc.oneof(text, fc.json()), parseArguments, [InvalidOptionError]);
    holds(fc.oneof(text, fc.json()), parseStrikeValue, [InvalidOptionError]);
    holds(text, wholeNumber, [InvalidArgumentError]);
    holds(fc.oneof(text, fc.date({ noInvalidDate: false }), fc.bigInt()), argumentText);
    expect(parseStrikeValue('12')).toBe(12);
  });
});
