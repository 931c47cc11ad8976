import { afterEach, expect, test, vi } from 'vitest';
import { resolveDocketOptions } from '../../../src/client/options.js';

afterEach(() => {
  vi.unstubAllEnvs();
});

test('a docket without options takes its name and server from the variables that the command line reads', () => {
  vi.stubEnv('DOCKET_NAME', 'orders');
  vi.stubEnv('DOCKET_URL', 'redis://cache:1');
  expect(resolveDocketOptions({})).toMatchObject({ name: 'orders', url: 'redis://cache:1' });
  const given = { name: 'bills', url: 'redis://other:2' };
  expect(resolveDocketOptions(given)).toMatchObject(given);
});

test('an empty variable counts as unset', () => {
  vi.stubEnv('DOCKET_NAME', '');
  vi.stubEnv('DOCKET_URL', '');
  expect(resolveDocketOptions({})).toMatchObject({ name: 'docket', url: 'redis://localhost:6379/0' });
});
