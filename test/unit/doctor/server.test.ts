import { expect, test } from 'vitest';
import { checkServer } from '../../../src/doctor/server.js';

function version(facts: Record<string, string>) {
  return checkServer(new Map(Object.entries(facts))).find(({ check }) => check === 'version');
}

test.each([
  [{ redis_version: '7.0.0' }, 'Redis 7.0.0'],
  [{ redis_version: '8.2.1' }, 'Redis 8.2.1'],
  [{ redis_version: '7.2.4', valkey_version: '7.2.5' }, 'Valkey 7.2.5'],
])('the doctor takes a server of %o', (facts, detail) => {
  expect(version(facts)).toMatchObject({ status: 'ok', detail });
});

test.each([
  [{ redis_version: '6.2.14' }, /^Redis 6\.2\.14 is older than 7\.0: while its memory is full/],
  [{ redis_version: '5.0.7' }, /^Redis 5\.0\.7 is older than 7\.0/],
  [{}, /^Redis 0 is older than 7\.0/],
])('the doctor fails a server of %o, says why, and which to use', (facts, detail) => {
  const advice = 'use Redis 7.0 or newer, or Valkey 7.2 or newer';
  expect(version(facts)).toMatchObject({ status: 'fail', detail: expect.stringMatching(detail), advice });
});
