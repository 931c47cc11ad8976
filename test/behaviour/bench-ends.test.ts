/** The bench ends without leaving anything, also when it is interrupted. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { NO_REDIS, REDIS_BINARY } from '../support/redis-binary.js';
import { waitFor } from '../support/wait.js';

const BENCH = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));

/** Starts the bench with a folder of its own for what is temporary. */
function startBench(...args: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'docket-bench-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const child = spawn(process.execPath, [BENCH, ...args], { env: { ...process.env, TMPDIR: folder } });
  const ended = Promise.all([once(child, 'exit'), text(child.stderr)]).then(([[code], errors]) => ({ code, errors }));
  onTestFinished(async () => {
    child.kill('SIGTERM'); // SIGKILL would leave its redis-server behind
    await ended;
  });
  return { child, folder, ended };
}

describe.skipIf(REDIS_BINARY === null || !existsSync('/proc/self/environ'))(
  `an interrupted bench (skipped if ${NO_REDIS})`,
  () => {
    test.for([
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const)('leaves no folder and no process after %s', { timeout: 90_000 }, async ([signal, code]) => {
      const { child, folder, ended } = startBench('latency', '--quick');
      const isRunning = () => readdirSync(folder).length === 2 && processesIn(folder).length > 2;
      await waitFor(() => isRunning(), { timeoutMs: 60_000 }); // folders: of the server, and of the times of starts
      child.kill(signal);
      expect((await ended).code).toBe(code);
      expect(readdirSync(folder)).toEqual([]);
      await expect.poll(() => processesIn(folder)).toEqual([]);
    });
  },
);

test('a baseline that cannot be read ends the bench with one line, before anything runs', {
  timeout: 90_000,
}, async () => {
  const { folder, ended } = startBench('micro', '--quick', '--compare', 'no-such-file.json');
  const { code, errors } = await ended;
  expect(code).toBe(1);
  expect(errors).toMatch(/^bench: cannot read the baseline no-such-file\.json: .*\n$/);
  expect(readdirSync(folder)).toEqual([]);
});

/** Lists the processes that have this folder for what is temporary. */
function processesIn(folder: string): string[] {
  const has = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`TMPDIR=${folder}\0`);
    } catch {
      return false; // it has ended
    }
  };
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && has(name));
}
