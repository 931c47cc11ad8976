/** Runs each pattern among the examples as a user does, and reads what it prints. */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';

const RUN = fileURLToPath(new URL('../../dist/examples/patterns/run.js', import.meta.url));
const FOLDER = fileURLToPath(new URL('../../examples/patterns', import.meta.url));

/** What each pattern prints at its end. */
const ENDINGS: Readonly<Record<string, RegExp>> = {
  adaptive: /^95 mails were sent in 10 runs, .*\nthe next run is due in (60|5\d) s$/,
  chain: /^the last of three tasks stored 2 lines$/,
  'claim-check': /\nthe result is <h1>invoice 42<\/h1>$/,
  'fan-out': /^10 words were counted in 3 parts$/,
  'find-and-flood': /^250 orders were placed\n250 orders were delivered$/,
  'http-server': /^POST answered 202\nGET says completed$/,
  limits: /^at once for one customer: 1\n11 calls of the API took ([2-9]|\d\d) s$/,
  'nested-progress': /\n8 of 8 photos\ncompleted$/,
  scatter: /^20 reports were made over \d+\.\d s$/,
  'self-cancelling': /^the payment was there at poll 5$/,
  'strike-a-customer': /^c-12 scheduled\nc-13 struck\nc-14 scheduled\nc-13 is in sync$/,
};

async function run(...args: string[]): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const { DOCKET_URL: _, ...env } = process.env;
  return await promisify(execFile)(process.execPath, [RUN, ...args], { env });
}

describe('a pattern among the examples', () => {
  test.each(Object.entries(ENDINGS))('does what it is about: %s', async (pattern, ending) => {
    const { stdout, stderr } = await run(pattern);
    expect(stdout.trim()).toMatch(ending);
    expect(stderr).toBe('');
  });

  test('is listed with one line', async () => {
    const patterns = readdirSync(FOLDER).filter((file) => file !== 'run.ts');
    const { stdout } = await run();
    expect(stdout.trim().split('\n')).toHaveLength(patterns.length);
    expect(patterns.map((file) => file.replace('.ts', ''))).toEqual(Object.keys(ENDINGS));
  });

  test('that there is not is refused with the names of those there are', async () => {
    await expect(run('scater')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^give one of these: .*scatter/),
    });
  });
});
