import { describe, expect, test } from 'vitest';
import { InvalidOptionError } from '../../../src/core/errors.js';
import { maskUrl, parseRedisUrl } from '../../../src/redis/url.js';

describe('a URL of a server', () => {
  const here = { kind: 'server', host: 'localhost', port: 6379, db: 0 };
  test.each([
    ['redis://localhost:6379/0', here],
    ['redis://localhost', here],
    ['redis://localhost/', here],
    ['redis://localhost:', here],
    ['redis://', here],
    ['REDIS://localhost', here],
    ['valkey://localhost', here],
    ['redis://:6380', { ...here, port: 6380 }],
    ['redis:///7', { ...here, db: 7 }],
    ['redis://10.0.0.7:7000/15', { ...here, host: '10.0.0.7', port: 7000, db: 15 }],
    ['redis://my_redis.svc-1.local', { ...here, host: 'my_redis.svc-1.local' }],
    ['redis://[::1]', { ...here, host: '::1' }],
    ['redis://[fe80::1:2]:6380/3', { ...here, host: 'fe80::1:2', port: 6380, db: 3 }],
    ['redis://app@localhost', { ...here, username: 'app', password: '' }],
    ['redis://app:secret@localhost', { ...here, username: 'app', password: 'secret' }],
    ['redis://:secret@localhost', { ...here, password: 'secret' }],
    ['redis://:secret@[::1]:6380', { ...here, host: '::1', port: 6380, password: 'secret' }],
    ['redis://a%40b:p%2F%3F%23%40%3A%25%20%C3%BC@localhost', { ...here, username: 'a@b', password: 'p/?#@:% ü' }],
    ['redis://app:a:b@c$d!+&=@localhost', { ...here, username: 'app', password: 'a:b@c$d!+&=' }],
  ])('%s', (url, target) => {
    expect(parseRedisUrl(url)).toStrictEqual(target);
  });

  test.each(['rediss', 'valkeys'])('%s:// asks for TLS, by the name of the host', (scheme) => {
    const target = { ...here, host: 'cache.internal', password: 'secret', tls: { servername: 'cache.internal' } };
    expect(parseRedisUrl(`${scheme}://:secret@cache.internal`)).toStrictEqual(target);
  });

  test.each(['redis', 'valkey', 'rediss'])('%s://…?ssl=true asks for TLS as well', (scheme) => {
    const target = { ...here, host: 'cache.internal', db: 1, tls: { servername: 'cache.internal' } };
    expect(parseRedisUrl(`${scheme}://cache.internal/1?ssl=true`)).toStrictEqual(target);
    expect(parseRedisUrl('redis://localhost?ssl=false')).toStrictEqual(here);
  });

  test('an address is no name to ask for', () => {
    expect(parseRedisUrl('rediss://[::1]')).toStrictEqual({ ...here, host: '::1', tls: {} });
  });
});

describe('a URL of a socket', () => {
  const socket = { kind: 'socket', path: '/run/redis.sock', db: 0 };
  test.each([
    ['unix:///run/redis.sock', socket],
    ['unix:///run/redis.sock?db=3', { ...socket, db: 3 }],
    ['unix:///run/my%20redis@home.sock', { ...socket, path: '/run/my redis@home.sock' }],
    ['unix://app:secret@/run/redis.sock?db=1', { ...socket, db: 1, username: 'app', password: 'secret' }],
  ])('%s', (url, target) => {
    expect(parseRedisUrl(url)).toStrictEqual(target);
  });
});

describe('a URL of several hosts', () => {
  const hosts = [
    { host: 'a', port: 7000 },
    { host: '::1', port: 7001 },
  ];
  const sentinel = { kind: 'sentinel', sentinels: hosts, master: 'main', db: 0 };
  const cluster = { kind: 'cluster', seeds: hosts, db: 0 };
  test.each([
    ['redis+sentinel://a:7000,[::1]:7001/main', sentinel],
    ['valkey+sentinel://a:7000,[::1]:7001/main/', sentinel],
    [
      'redis+sentinel://u:p@a:7000,[::1]:7001/my%2Fmain/3',
      { ...sentinel, master: 'my/main', db: 3, username: 'u', password: 'p' },
    ],
    ['rediss+sentinel://a:7000,[::1]:7001/main', { ...sentinel, tls: {} }],
    ['redis+sentinel://a/main', { ...sentinel, sentinels: [{ host: 'a', port: 26379 }] }],
    ['redis+cluster://a:7000,[::1]:7001', cluster],
    ['valkey+cluster://a:7000,[::1]:7001/0', cluster],
    ['valkeys+cluster://:p@a:7000,[::1]:7001/', { ...cluster, password: 'p', tls: {} }],
    ['redis+cluster://a:7000,[::1]:7001?ssl=true', { ...cluster, tls: {} }],
    ['redis+cluster://', { ...cluster, seeds: [{ host: 'localhost', port: 6379 }] }],
    [
      'redis+cluster://a,b',
      {
        ...cluster,
        seeds: [
          { host: 'a', port: 6379 },
          { host: 'b', port: 6379 },
        ],
      },
    ],
  ])('%s', (url, target) => {
    expect(parseRedisUrl(url)).toStrictEqual(target);
  });
});

test('a URL of an embedded server holds its name', () => {
  expect(parseRedisUrl('memory://')).toStrictEqual({ kind: 'memory', name: 'default' });
  expect(parseRedisUrl('memory://tests_1.a-b')).toStrictEqual({ kind: 'memory', name: 'tests_1.a-b' });
});

describe('what cannot be used is refused with the reason and the masked URL', () => {
  test.each([
    ['http://localhost', "url: 'http://localhost': unknown scheme"],
    ['redis+sentinel://:secret@a:1,b:2', "url: 'redis+sentinel://:***@a:1,b:2': the name of the master is missing"],
    [
      'redis+sentinel://a:1,b:2/',
      'the name of the master is missing, as the sentinels know it: redis+sentinel://host1',
    ],
    ['redis+sentinel://a:1/main/0/1', 'only the master and a database may follow the sentinels'],
    ['redis+sentinel://a:1/main/x', 'the database must be'],
    ['redis+sentinel://a:1,b:x/main', 'the port must be'],
    ['redis+sentinel://a:1,,b:2/main', 'the hosts are written host1:port1,host2:port2'],
    ['redis+cluster://a:1,b:2,', 'the hosts are written host1:port1,host2:port2'],
    ['redis+cluster://a:1,b c:2', 'the host must be'],
    ['redis+cluster://[::1]:1,::2', 'the port must be'],
    ['redis+cluster://a:1,b:2/3', "url: 'redis+cluster://a:1,b:2/3': a cluster has database 0 only"],
    ['redis+cluster://a:1?db=1', 'the only parameter after "?" is ssl'],
    ['rediss+cluster://a:1?ssl=false', 'rediss+cluster:// asks for TLS'],
    ['redis+sharded://a:1', 'unknown scheme'],
    ['unix+cluster:///a', 'unknown scheme'],
    ['localhost:6379', "url: 'localhost:6379': not a URL"],
    ['', "url: '': not a URL"],
    ['redis:localhost', "url: 'redis:***': not a URL"],
    ['redis://localhost:0', 'the port must be'],
    ['redis://localhost:65536', 'the port must be'],
    ['redis://localhost:6379x', 'the port must be'],
    ['redis://localhost/x', 'the database must be'],
    ['redis://localhost/-1', 'the database must be'],
    ['redis://localhost/1.5', 'the database must be'],
    ['redis://localhost/0/1', 'the database must be'],
    ['redis://localhost?db=1', "url: 'redis://localhost?db=1': the only parameter"],
    ['redis://localhost?ssl=yes', "url: 'redis://localhost?***': the only parameter"],
    ['redis://localhost?ssl=true&ssl_cert_reqs=none', "url: 'redis://localhost?***': the only parameter"],
    ['rediss://localhost?ssl=false', "url: 'rediss://localhost?ssl=false': rediss:// asks for TLS"],
    ['redis://[::1:6379', 'only an IPv6 address may stand between [ and ]'],
    ['redis://[localhost]', 'only an IPv6 address may stand between [ and ]'],
    ['redis://::1', 'the port must be'],
    ['redis://bad host', 'the host must be'],
    ['unix://run/redis.sock', 'the path of the socket must be absolute'],
    ['unix://', 'the path of the socket must be absolute'],
    ['unix:///run/redis.sock?db=x', 'the database must be'],
    ['unix:///run/redis.sock?timeout=1', 'the only parameter'],
    ['memory://a/b', 'memory:// takes a name'],
    ['memory://a:1', 'memory:// takes a name'],
    ['memory://a b', 'memory:// takes a name'],
    ['memory://a?db=1', 'memory:// takes a name'],
  ])('%s', (url, message) => {
    expect(() => parseRedisUrl(url)).toThrow(InvalidOptionError);
    expect(() => parseRedisUrl(url)).toThrow(message);
  });
});

describe('no error text holds the password', () => {
  test.each([
    'http://app:s3cret@host',
    'redis://app:s3cret@host:port',
    'redis://app:s3cret@host:99999',
    'redis://app:s3cret@host/db',
    'redis://app:s3cret@bad host',
    'redis://:s3cret@host?password=s3cret',
    'redis://host?password=s3cret',
    'redis://host?db=1&password=s3cret',
    'redis://host#s3cret',
    'redis://app:%zzs3cret@host',
    'redis://app:s3cret%@host',
    'redis://app:s3cret#1@host',
    'redis://app:1/s3cret@host',
    'redis://app:1?s3cret@host',
    'redis://app:1@2@/s3cret@host',
    'redis://app%3As3cret%40host:x',
    'redis://s3cret%3Ax@host:x',
    'redis://s3cret%3ax%40host:x',
    'redis://app:s3cret%40host:6379/0',
    'redis://app:s3cret',
    'redis://s3cret@host:x',
    'redis:///s3cret@host',
    'redis:app:s3cret@host',
    'app:s3cret@host:6379',
    ':s3cret@host',
    'redis+sentinel://app:s3cret@a:1,b:2',
    'redis+sentinel://app:s3cret/main/0/1',
    'redis+sentinel://app:12,s3cret/main/0/1',
    'redis+cluster://:s3cret@a:1/1',
    'redis+cluster://app:s3cret,a:1',
    'unix://app:s3cret@run/redis.sock',
    'unix://app:s3cret@/run/redis.sock?timeout=s3cret',
    'memory://app:s3cret@name',
    'redis://app:\ns3cret@host:x',
  ])('%j', (url) => {
    const error = thrownBy(() => parseRedisUrl(url));
    expect(error).toBeInstanceOf(InvalidOptionError);
    const { message, stack, cause } = error as Error;
    expect(JSON.stringify([message, stack, String(cause), error])).not.toContain('s3cret');
  });
});

test.each([
  ['redis://localhost:6379/0', 'redis://localhost:6379/0'],
  ['redis://[::1]:6379/0', 'redis://[::1]:6379/0'],
  ['redis://app:secret@localhost:6379/0', 'redis://app:***@localhost:6379/0'],
  ['rediss://:p%40ss%3Aword@[::1]:6379', 'rediss://:***@[::1]:6379'],
  ['unix:///run/a@b.sock?db=1', 'unix:///run/a@b.sock?db=1'],
  ['unix://app:secret@/run/redis.sock', 'unix://app:***@/run/redis.sock'],
  ['memory://tests', 'memory://tests'],
  ['redis://SECRET%3Ax@host', 'redis://***@host'],
  ['redis://app:secret@host:6379?ssl=true', 'redis://app:***@host:6379?ssl=true'],
])('%s is shown as %s', (url, shown) => {
  expect(maskUrl(url)).toBe(shown);
});

function thrownBy(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  return undefined;
}
