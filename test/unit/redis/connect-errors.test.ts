/** What is said of a server that could not be reached. */
import { expect, test } from 'vitest';
import { connectAdvice, connectReason, isRefusedForGood } from '../../../src/redis/connect-errors.js';
import { isPermanent, unavailable } from '../../../src/redis/unavailable.js';

const coded = (code: string, message = code) => Object.assign(new Error(message), { code });

test('a server that was searched for is named behind the URL', () => {
  const refused = coded('ECONNREFUSED');
  expect(unavailable('redis+sentinel://:pw@s1/main', refused, '10.0.0.1:6379').message).toBe(
    'cannot use Redis at redis+sentinel://:***@s1/main, master 10.0.0.1:6379: the connection was refused: nothing listens there',
  );
  expect(unavailable('redis://h', refused).message).toBe(
    'cannot use Redis at redis://h: the connection was refused: nothing listens there',
  );
});

test.each(['ERR DB index is out of range', 'ERR SELECT is not allowed in cluster mode', 'ERR invalid DB index'])(
  'waiting does not help against a missing database: %s',
  (message) => {
    const error = new Error(message);
    expect(isPermanent(error)).toBe(true);
    expect(connectReason(error)).toBe(`the server has no such database (${message})`);
    expect(connectAdvice(error)).toContain('a cluster has database 0 only');
  },
);

test('a certificate, a login and a host name have advice of their own', () => {
  expect(connectAdvice(coded('SELF_SIGNED_CERT_IN_CHAIN'))).toContain('NODE_EXTRA_CA_CERTS');
  expect(connectAdvice(coded('ERR_TLS_CERT_ALTNAME_INVALID'))).toContain('servername');
  expect(connectAdvice(new Error('WRONGPASS invalid'))).toContain('user name and password');
  expect(connectAdvice(coded('ECONNREFUSED'))).toBeNull();
  expect(isRefusedForGood(coded('ERR_TLS_CERT_ALTNAME_INVALID'))).toBe(true);
});
