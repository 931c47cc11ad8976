/** A task that logs or prints in a busy loop to a slow pipe does not harm other work. */
import { expect, onTestFinished, test } from 'vitest';
import { fixture, openFleet, startCommand } from '../support/fleet.js';
import { takeNotes } from '../support/notes.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

/** Ten seconds of lines, as slowly as the pipe is read. */
const LINES = 8_000;
const NAP_MS = 9_000;
const LEASE = '5s';
/** Ten megabytes: more than all pipes and buffers on the way take. */
const PRINTED = 10_000;

describeOnOwnRedis('a task that logs in a busy loop', (redis) => {
  test('waits for its lines to be written, and no lease is lost meanwhile', async () => {
    const fleet = await openFleet(redis().url);
    const tasks = fixture('hostile.js');
    const command = startCommand([
      ...['--url', redis().url, '--docket', fleet.name, '--tasks', tasks, '--logging-format', 'json'],
      ...['--threads', '3', '--concurrency', '3', '--redelivery-timeout', LEASE, '--logging-level', 'info'],
    ]);
    onTestFinished(async () => {
      command.process.kill('SIGKILL');
      await command.ended;
    });
    await command.ready();
    const { file, written, all } = takeNotes();
    const bystander = await fleet.docket.add('naps', { file, ms: NAP_MS }, { key: 'bystander' });
    await written('naps');
    await fleet.worker({ tasks: fixture('results.js'), threads: 1, redeliveryTimeout: LEASE }); // redelivers what is lost
    const pipe = command.process.stderr!;
    pipe.on('data', () => {
      pipe.pause();
      setTimeout(() => pipe.resume(), 25);
    });
    const floods = await Promise.all(
      [0, 1].map((i) => fleet.docket.add('floods', { lines: LINES / 2 }, { key: `flood-${i}` })),
    );
    expect(await bystander.result({ timeout: '40s' })).toBe('rested');
    for (const flood of floods) await flood.result({ timeout: '60s' });
    expect(all()).toEqual(['naps']);
  }, 90_000);

  test.each(['stdout', 'stderr'] as const)(
    'or to be printed, on %s, and loses none of them',
    async (stream) => {
      const fleet = await openFleet(redis().url);
      const command = startCommand([
        ...['--url', redis().url, '--docket', fleet.name, '--tasks', fixture('hostile.js')],
        ...['--threads', '2', '--concurrency', '2', '--logging-format', 'json'],
      ]);
      onTestFinished(async () => {
        command.process.kill('SIGKILL');
        await command.ended;
      });
      await command.ready();
      const { file, written, all } = takeNotes();
      const pipe = command.process[stream]!;
      pipe.pause(); // nobody reads it for now
      const printing = await fleet.docket.add('prints', { file, lines: PRINTED, stream }, { key: 'prints' });
      await written('prints');
      const bystander = await fleet.docket.add('naps', { file, ms: 1_000 }, { key: 'bystander' });
      expect(await bystander.result({ timeout: '40s' })).toBe('rested');
      expect(all()).not.toContain('printed'); // it waits, where it used to go on and to fill the memory
      pipe.resume();
      await printing.result({ timeout: '60s' });
      const lines = () =>
        (stream === 'stdout' ? command.output : command.errors).filter((line) => /^line \d+ x/.test(line));
      const dropped = () =>
        command.lines.map(({ message }) => Number(/^(\d+) writes to stdout/.exec(message)?.[1] ?? 0));
      await waitFor(() => lines().length + dropped().reduce((sum, count) => sum + count, 0) === PRINTED);
    },
    120_000,
  );
});
