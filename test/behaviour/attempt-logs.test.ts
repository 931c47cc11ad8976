/** What is logged of attempts and by them: enough to follow each, nothing that is private, and no line is lost. */
import { TimeoutError } from 'docket';
import { Worker, type WorkerOptions } from 'docket/worker';
import { expect, onTestFinished, test } from 'vitest';
import { type Fleet, fixture, openFleet, startCommand } from '../support/fleet.js';
import { type Line, recordingLogger } from '../support/logger.js';
import { takeNotes } from '../support/notes.js';
import { describeEachMode, describeOnAnyServer, describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const LOGGING = fixture('logging.js');
const SECRET = 'correct horse battery staple';

/** A worker with a logger of this level, and what it logs. */
async function logging(fleet: Fleet, level: 'debug' | 'info', options: WorkerOptions): Promise<Line[]> {
  const { logger, lines } = recordingLogger(level);
  const worker = new Worker(fleet.docket, { tasks: LOGGING, minimumCheckInterval: '100ms', logger, ...options });
  const running = worker.runForever();
  onTestFinished(async () => {
    await worker.close();
    await running;
  });
  await waitFor(() => lines.some(({ message }) => message.endsWith(' is ready')));
  return lines;
}

/** The lines about executions. */
const about = (lines: readonly Line[], key: string) => lines.filter(({ fields }) => fields.key === key);

describeEachMode('an attempt', (url, threads) => {
  test('is logged at its start and its end, with all that is needed to find it', async () => {
    const fleet = await openFleet(url());
    const lines = await logging(fleet, 'debug', { threads, name: 'w' });
    const args = { orderId: 17, items: ['a', 'b'], card: SECRET, fails: 1 };
    const execution = await fleet.docket.add('charge', args, { key: 'k', when: '20ms' });
    await execution.result();
    await waitFor(() => about(lines, 'k').filter(({ message }) => message.endsWith('completed')).length === 1);
    const call = 'charge(orderId=17, items=<2>, ...)';
    const own = { docket: fleet.name, worker: 'w', thread: expect.any(Number), task: 'charge', key: 'k' };
    const of = (attempt: number, level: string, message: string, more: object = {}) => ({
      level,
      message,
      fields: { ...own, attempt, ...more },
    });
    const said = { amount: 3, nested: '{ a: [ 1, { b: 2 } ] }', big: '5n' };
    // What the coordinator says of it comes over another port, and may come first.
    expect(about(lines, 'k').filter(({ fields }) => 'thread' in fields)).toEqual([
      of(1, 'debug', `${call} starts`, { punctualityMs: expect.any(Number) }),
      of(1, 'info', 'charging', said),
      of(1, 'debug', 'looking closely'),
      of(1, 'debug', `${call} failed and is retried: Error: declined`, {
        durationMs: expect.any(Number),
        stack: expect.stringMatching(/^Error: declined\n.*logging\.js:/),
      }),
      of(2, 'debug', `${call} starts`, { punctualityMs: expect.any(Number) }),
      of(2, 'info', 'charging', said),
      of(2, 'debug', 'looking closely'),
      of(2, 'debug', `${call} completed`, { durationMs: expect.any(Number) }),
    ]);
    const [start] = about(lines, 'k').filter(({ fields }) => 'thread' in fields);
    expect(start!.fields.punctualityMs).toBeLessThan(20_000);
    expect(about(lines, 'k').filter(({ fields }) => !('thread' in fields))).toEqual([
      {
        level: 'info',
        message: 'charge is retried: Error: declined',
        fields: { docket: fleet.name, worker: 'w', task: 'charge', key: 'k', attempt: 1 },
      },
    ]);
    expect(JSON.stringify(lines)).not.toContain(SECRET);
  });

  test('is logged without the arguments that its task does not name', async () => {
    const fleet = await openFleet(url());
    const lines = await logging(fleet, 'debug', { threads });
    await (await fleet.docket.add('silent', { secret: SECRET }, { key: 'k' })).result();
    await waitFor(() => about(lines, 'k').length === 2);
    expect(about(lines, 'k').map(({ message }) => message)).toEqual(['silent(...) starts', 'silent(...) completed']);
    expect(JSON.stringify(lines)).not.toContain(SECRET);
  });

  test('is not logged at a higher level, but what its body logs is', async () => {
    const fleet = await openFleet(url());
    const lines = await logging(fleet, 'info', { threads });
    const executions = Array.from({ length: 20 }, (_, i) => fleet.docket.add('silent', {}, { key: `k${i}` }));
    for (const execution of await Promise.all(executions)) await execution.result();
    await (await fleet.docket.add('charge', {}, { key: 'k' })).result();
    await waitFor(() => lines.some(({ message }) => message === 'charging'));
    const levels = lines.filter(({ fields }) => 'key' in fields).map(({ level, message }) => [level, message]);
    expect(levels.filter(([, message]) => message !== 'looking closely')).toEqual([['info', 'charging']]);
  });

  test('does not lose its last lines when its worker ends', async () => {
    const fleet = await openFleet(url());
    const { stop, lines } = await fleet.worker({ tasks: LOGGING, threads });
    await (await fleet.docket.add('partingChatter')).result();
    await stop();
    const said = lines.filter(({ message }) => message === 'parting');
    expect(said.map(({ fields }) => fields.i)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });
});

describeOnAnyServer('what an attempt logs before its thread ends', (url) => {
  test('is not lost with it', async () => {
    const fleet = await openFleet(url());
    const options = { tasks: LOGGING, threads: 2, abortGrace: '100ms', maxDeliveries: 1 } as const;
    const { lines } = await fleet.worker(options);
    const { file } = takeNotes();
    const [exits, loops] = await Promise.all(
      ['exit', 'loop'].map((how) => fleet.docket.add('lastWords', { how, file })),
    );
    await expect(loops!.result()).rejects.toThrow(TimeoutError);
    await expect(exits!.result()).rejects.toMatchObject({ code: 'DOCKET_POISONED' });
    for (const how of ['exit', 'loop']) {
      expect(lines.filter(({ message }) => message === `last words of ${how}`)).toHaveLength(100);
    }
  });
});

describeOnRedis('many threads that log many lines at once', (url) => {
  test('lose no line and break none', async () => {
    const fleet = await openFleet(url());
    const [executions, lines] = [8, 500];
    const padding = 'é'.repeat(300);
    for (let i = 0; i < executions; i++) {
      await fleet.docket.add('chatter', { lines, padding }, { key: `k${i}` });
    }
    const flags = ['--threads', '4', '--concurrency', '8', '--logging-format', 'json', '--logging-level', 'debug'];
    const command = startCommand([
      ...['--url', url(), '--docket', fleet.name, '--tasks', LOGGING, '--until-finished'],
      ...flags,
    ]);
    onTestFinished(() => void command.process.kill('SIGKILL'));
    expect(await command.ended).toEqual({ code: 0, signal: null });
    expect(command.output).toEqual([]);
    expect(command.lines).toHaveLength(command.errors.length); // each of them is JSON
    const threads = new Set<unknown>();
    for (let i = 0; i < executions; i++) {
      const own = about(command.lines, `k${i}`);
      for (const { fields } of own) threads.add(fields.thread);
      expect(own.map(({ level }) => level)).toEqual(['debug', ...Array(lines).fill('info'), 'debug']);
      const said = own.slice(1, -1);
      expect(said.map(({ fields }) => fields.i)).toEqual(Array.from({ length: lines }, (_, line) => line));
      expect(said.filter(({ message }, line) => message !== `line ${line} ${padding}`)).toEqual([]);
      expect(own.every(({ fields }) => fields.task === 'chatter' && fields.docket === fleet.name)).toBe(true);
    }
    expect(threads.size).toBe(4);
  });
});
