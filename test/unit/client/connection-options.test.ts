import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { resolveConnection } from '../../../src/client/connection-options.js';
import { InvalidOptionError } from '../../../src/core/errors.js';
import { parseRedisUrl } from '../../../src/redis/url.js';

const PLAIN = 'redis://localhost';
const TLS = 'rediss://localhost';
const SENTINEL = 'redis+sentinel://a,b/main';

afterEach(() => void vi.unstubAllEnvs());

function resolve(options: object | undefined, url = PLAIN) {
  return resolveConnection(options as never, parseRedisUrl(url));
}

/** A file with these options, which DOCKET_CONNECTION names. */
function inFile(text: string, others: Record<string, string> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'docket-connection-'));
  for (const [name, content] of Object.entries(others)) writeFileSync(join(folder, name), content);
  const file = join(folder, 'connection.json');
  writeFileSync(file, text);
  vi.stubEnv('DOCKET_CONNECTION', file);
  return folder;
}

test('options are taken as they are, with durations in milliseconds', () => {
  const password = () => 'token';
  expect(resolve({ password, keepAlive: '5s', connectTimeout: 300, family: 4 })).toEqual({
    password,
    keepAlive: 5_000,
    connectTimeout: 300,
    family: 4,
  });
  expect(resolve(undefined)).toBeNull();
});

describe('what cannot be used is refused by name, without its value', () => {
  test.each<[object, string, string?]>([
    [{ retryStrategy: 's3cret' }, 'connection.retryStrategy: docket decides this itself'],
    [{ keyPrefix: 's3cret' }, 'connection.keyPrefix: docket decides this itself'],
    [{ enableOfflineQueue: false }, 'connection.enableOfflineQueue: docket decides this itself'],
    [{ host: 's3cret' }, 'connection.host: this is a part of the URL'],
    [{ passwort: 's3cret' }, "connection.passwort: there is no such option: did you mean 'password'?"],
    [{ password: 7 }, 'connection.password: expected text or a function that returns it, got number'],
    [{ password: 's3cret' }, 'connection.password: the URL has one, too', 'redis://:p@localhost'],
    [{ sentinelPassword: 's3cret' }, 'connection.sentinelPassword: only redis+sentinel:// has sentinels'],
    [{ sentinelTls: 'yes' }, 'connection.sentinelTls: expected true or false', SENTINEL],
    [{ natMap: {} }, 'connection.natMap: only redis+sentinel:// and redis+cluster://'],
    [{ natMap: { 'a:1': 'b:2' } }, 'connection.natMap: expected addresses by address', SENTINEL],
    [{ natMap: { 'a:1': { host: 'b', port: 0 } } }, 'connection.natMap: expected addresses by address', SENTINEL],
    [{ family: 5 }, 'connection.family: expected 4 or 6'],
    [{ keepAlive: 0 }, 'connection.keepAlive: expected at least 1 ms'],
    [{ connectTimeout: 'soon' }, 'connection.connectTimeout: expected a duration'],
    [{ tls: {} }, 'connection.tls: the URL asks for no TLS: write rediss://'],
    [{ tls: {} }, 'connection.tls: the URL asks for no TLS', 'unix:///a.sock'],
    [
      { tls: { rejectUnauthorised: true } },
      'connection.tls.rejectUnauthorised: there is no such option: did you mean',
      TLS,
    ],
    [{ tls: { rejectUnauthorized: 'no' } }, 'connection.tls.rejectUnauthorized: expected true or false', TLS],
    [{ tls: { ca: 7 } }, 'connection.tls.ca: expected text', TLS],
    [{ password: 's3cret' }, 'connection: memory:// is a server inside this process', 'memory://'],
  ])('%j: %s', (options, message, url) => {
    expect(() => resolve(options, url)).toThrow(InvalidOptionError);
    expect(() => resolve(options, url)).toThrow(message);
    expect(() => resolve(options, url)).not.toThrow(/s3cret/);
  });
});

describe('the file that DOCKET_CONNECTION names', () => {
  test('has the same options, and names files beside it, of which passwords are read each time', async () => {
    const text = JSON.stringify({
      passwordFile: 'token',
      connectTimeout: '2s',
      tls: { caFile: 'ca.pem', servername: 'redis' },
    });
    const folder = inFile(text, { token: 'first\n', 'ca.pem': 'PEM' });
    const options = resolve(undefined, TLS)!;
    expect(options).toMatchObject({ connectTimeout: 2_000, tls: { ca: 'PEM', servername: 'redis' } });
    const password = options.password as () => string;
    expect(password()).toBe('first');
    writeFileSync(join(folder, 'token'), 'second');
    expect(password()).toBe('second');
  });

  test('needs no TLS to name the file of a password', () => {
    inFile('{"passwordFile": "token"}', { token: 'first' });
    expect((resolve(undefined)!.password as () => string)()).toBe('first');
  });

  test('gives way to the option, and does not concern an embedded server', () => {
    inFile('{"family": 6}');
    expect(resolve({ family: 4 })).toEqual({ family: 4 });
    expect(resolve(undefined)).toEqual({ family: 6 });
    expect(resolve(undefined, 'memory://')).toBeNull();
  });

  test.each([
    ['{"password": "s3cret"', 'DOCKET_CONNECTION: the file is not JSON'],
    ['["s3cret"]', 'DOCKET_CONNECTION: the file must have a JSON object'],
    ['{"retryStrategy": "s3cret"}', 'DOCKET_CONNECTION.retryStrategy: docket decides this itself'],
    ['{"passwordFile": "missing"}', /DOCKET_CONNECTION\.passwordFile: the file '.*missing' cannot be read \(ENOENT\)/],
    ['{"passwordFile": 7}', 'DOCKET_CONNECTION.passwordFile: expected the path of a file'],
  ])('with %s is refused in a line that quotes nothing of it', (text, message) => {
    inFile(text);
    expect(() => resolve(undefined)).toThrow(message);
    expect(() => resolve(undefined)).not.toThrow(/s3cret/);
  });

  test('that is not there is an error that names it', () => {
    vi.stubEnv('DOCKET_CONNECTION', '/nowhere/connection.json');
    expect(() => resolve(undefined)).toThrow("the file '/nowhere/connection.json' cannot be read (ENOENT)");
  });
});
