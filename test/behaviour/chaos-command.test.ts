/** The command of the chaos suite says what it can do, and never takes a run without faults for one that kept every promise. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('../../dist/test/chaos/main.js', import.meta.url));

async function chaos(...flags: string[]): Promise<{ code: number; output: string }> {
  return await new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...flags], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr });
    });
  });
}

test('--list names faults of each family, and where they can be made', async () => {
  const { code, output } = await chaos('--list');
  expect(code).toBe(0);
  for (let family = 1; family <= 17; family++) expect(output).toMatch(new RegExp(`^F${family} `, 'm'));
  expect(output).toMatch(/^F6 +FLUSHALL +single, partitions; only by its name$/m);
});

test.each([
  [['--fault', 'F7'], 'use --topology sentinel or cluster'],
  [['--fault', 'FLUSHALL', '--topology', 'cluster'], 'use --topology single or partitions'],
  [['--minutes', '0.01'], 'use more --minutes'],
  [['--fault', 'an earthquake'], '--list prints them'],
])('%j would have no fault, so it is refused', async (flags, advice) => {
  const { code, output } = await chaos(...flags);
  expect(code).toBeGreaterThan(0);
  expect(output).toContain(advice);
});
