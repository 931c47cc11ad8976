/** A command that fails says where to read more, where people read it. */
import { expect, test } from 'vitest';
import { finished, hasTerminal, spawnDocket, startOnTerminal } from '../support/shell.js';

const FAILING = ['workers', '--url', 'redis://127.0.0.1:1'];
const LINK = 'see https://github.com/docket-ts/docket/blob/main/docs/troubleshooting.md#docket_redis_unavailable';

test.runIf(hasTerminal)('on a terminal, the line of an error is followed by the link to its section', async () => {
  const { code, output } = await finished(startOnTerminal(FAILING));
  expect(output.trim().split(/\r?\n/)).toEqual([expect.stringMatching(/^docket: cannot use Redis at /), LINK]);
  expect(code).toBe(1);
});

test('elsewhere, an error is one line', async () => {
  const { errors } = await spawnDocket(FAILING);
  expect(errors.trim().split('\n')).toEqual([expect.stringMatching(/^docket: cannot use Redis at /)]);
});
