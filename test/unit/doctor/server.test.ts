import { expect, test } from 'vitest';
import { checkCoverage, checkServer, checkTopology } from '../../../src/doctor/server.js';

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

const NODE = '10.0.0.7:6379';

test('the doctor warns of a cluster in which one lost master stops all, and names the node', () => {
  const facts = { cluster_enabled: '1', 'config.cluster-require-full-coverage': 'yes' };
  expect(checkCoverage(new Map(Object.entries(facts)), NODE)).toEqual({
    check: 'coverage',
    status: 'warn',
    detail: `cluster-require-full-coverage yes on ${NODE}: while one master is down and has no successor, all masters refuse all commands`,
    advice: 'run CONFIG SET cluster-require-full-coverage no on all nodes, and change their configuration',
  });
  const better = { ...facts, 'config.cluster-require-full-coverage': 'no' };
  expect(checkCoverage(new Map(Object.entries(better)), NODE)).toMatchObject({ status: 'ok' });
});

test.each<[Record<string, string>, string]>([
  [{ cluster_enabled: '0', 'config.cluster-require-full-coverage': 'yes' }, 'one server has that setting, too'],
  [{ cluster_enabled: '1' }, 'a managed cluster does not show it'],
])('the doctor says nothing of the coverage with %o: %s', (facts, _why) => {
  expect(checkCoverage(new Map(Object.entries(facts)), NODE)).toBeNull();
});

test('the doctor names the master that was found in a cluster', () => {
  const url = 'redis+cluster://a:6379,b:6379';
  expect(checkTopology(new Map(), { url, node: NODE })).toMatchObject({
    status: 'ok',
    detail: `the master was found in the cluster: ${NODE}`,
  });
});
