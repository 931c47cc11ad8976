import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { isLinkError } from '../../../src/redis/link-errors.js';

/** A client of a port at which nothing listens. */
function client(options: object): Redis {
  const redis = new Redis({ host: '127.0.0.1', port: 1, lazyConnect: true, retryStrategy: () => 10, ...options });
  redis.on('error', () => {});
  onTestFinished(() => redis.disconnect());
  return redis;
}

test('every way in which the client says that its link is down is recognised', async () => {
  const waiting = client({ maxRetriesPerRequest: 0 });
  const closed = client({});
  closed.disconnect();
  const impatient = client({ enableOfflineQueue: false });
  void impatient.connect().catch(() => {});
  const refused = await new Promise((resolve) => {
    const redis = client({});
    redis.once('error', resolve);
    void redis.connect().catch(() => {});
  });
  const errors = await Promise.all([
    ...[waiting, closed, impatient].map((redis) => redis.get('k').catch((error: unknown) => error)),
    refused,
  ]);
  expect(errors.map((error) => [String(error), isLinkError(error)])).toEqual(
    errors.map((error) => [String(error), true]),
  );
});

test.each([
  new TypeError('a mistake in the code'),
  Object.assign(new Error('READONLY You cannot write against a read only replica.'), { name: 'ReplyError' }),
  'no error',
])('%s is none of the link', (error) => {
  expect(isLinkError(error)).toBe(false);
});
