import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { drawSample } from '../../examples/compress/sample.js';

const DEMO = fileURLToPath(new URL('../../dist/examples/compress/main.js', import.meta.url));
/** A folder of Linux with a file that nobody may read, not even root. */
const WITH_UNREADABLE = '/proc/sys/net/ipv4/route';

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

function startDemo(folder: string) {
  const child = spawn(process.execPath, [DEMO, folder], { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)]).then(
    ([[code], output, errors]): Ended => ({ code: code as number | null, output, errors }),
  );
  return { child, ended };
}

async function runDemo(folder: string): Promise<Ended> {
  return await startDemo(folder).ended;
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'docket-demo-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('the demo compresses every regular file once, and follows no link', async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'deep', 'er'), { recursive: true });
  for (let i = 0; i < 20; i++) writeFileSync(join(folder, 'deep', 'er', `${i}.txt`), 'docket '.repeat(1_000));
  writeFileSync(join(folder, 'empty'), '');
  symlinkSync(folder, join(folder, 'deep', 'loop'));
  symlinkSync(join(folder, 'empty'), join(folder, 'link'));

  const { code, output, errors } = await runDemo(folder);
  expect(errors).toBe('');
  expect(output).toContain('21 files, 0 failed');
  expect(output).toContain('0.1 MB -> 0.0 MB');
  expect(code).toBe(0);
});

test('the demo draws a sample of a large folder, the same each time, and takes a small one as it is', () => {
  const small = Array.from({ length: 1_000 }, (_, i) => ({ path: `${i}`, bytes: 100_000 }));
  const files = [{ path: 'too long for one thread', bytes: 100e6 }, ...small];
  const sample = drawSample(files, 2);
  expect(sample).toHaveLength(320);
  expect(drawSample([...files].reverse(), 2)).toEqual(sample);
  expect(sample.every(({ bytes }) => bytes === 100_000)).toBe(true);
  expect(drawSample(small.slice(0, 300), 2)).toHaveLength(300);
});

test('the demo says that a folder is empty', async () => {
  const folder = temporaryFolder();
  expect(await runDemo(folder)).toMatchObject({ code: 0, output: '', errors: `${folder}: no files\n` });
});

test('the demo refuses what is not a folder in one line', async () => {
  const folder = temporaryFolder();
  const [missing, file] = [join(folder, 'missing'), join(folder, 'file')];
  writeFileSync(file, 'docket');
  expect(await runDemo(missing)).toEqual({
    code: 1,
    output: '',
    errors: `${missing}: ENOENT: no such file or directory\n`,
  });
  expect(await runDemo(file)).toEqual({ code: 1, output: '', errors: `${file}: not a folder\n` });
});

test.runIf(existsSync(join(WITH_UNREADABLE, 'flush')))(
  'the demo reports a file that cannot be read in one line, and goes on with the rest',
  async () => {
    const { code, output, errors } = await runDemo(WITH_UNREADABLE);
    expect(errors).toBe('');
    expect(output).toContain(`failed  ${WITH_UNREADABLE}/flush: EACCES: permission denied\n`);
    expect(output).toMatch(/\n[1-9]\d* files, 1 failed\n/);
    expect(code).toBe(0);
  },
);

test('an interrupt ends the demo in order', async () => {
  const folder = temporaryFolder();
  // Text that brotli works hard on, so that the run takes seconds.
  const text = randomWords(500_000);
  for (let i = 0; i < 200; i++) writeFileSync(join(folder, `${i}`), text);
  const { child, ended } = startDemo(folder);
  child.stdout.once('data', () => setTimeout(() => child.kill('SIGINT'), 500)); // its first line: it has begun
  const { code, output, errors } = await ended;
  expect(errors).toBe('interrupted\n');
  expect(output).toContain('files, 0 failed');
  expect(code).toBe(130);
});

function randomWords(bytes: number): string {
  let state = 1;
  let words = '';
  while (words.length < bytes) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    words += `${(state >>> 8).toString(36)} `;
  }
  return words;
}
