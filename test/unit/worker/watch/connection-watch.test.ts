/** What a worker logs of an outage. */
import { EventEmitter } from 'node:events';
import type { Redis } from 'ioredis';
import { expect, onTestFinished, test, vi } from 'vitest';
import { ConnectionWatch } from '../../../../src/worker/watch/connection-watch.js';
import { recordingLogger } from '../../../support/logger.js';

function watched() {
  const { logger, lines } = recordingLogger();
  const watch = new ConnectionWatch('redis://host', logger);
  const fail = (...problems: string[]) => {
    for (const problem of problems) watch.logFailure(new Error(problem));
  };
  const commands = Object.assign(new EventEmitter(), { status: 'ready' }) as unknown as Redis & EventEmitter;
  return { fail, lines, open: () => watch.watch({ commands }), commands };
}

const messagesOf = (lines: readonly { message: string }[]) => lines.map(({ message }) => message);

test('each problem of an outage is logged once, also when those of several partitions take turns', () => {
  const { fail, lines } = watched();
  fail('slot 1 is gone', 'slot 2 is gone', 'slot 1 is gone', 'slot 2 is gone', 'slot 1 is gone');
  expect(messagesOf(lines)).toEqual(['slot 1 is gone: waiting for it', 'slot 2 is gone: waiting for it']);
});

test('problems that differ each time do not fill the log', () => {
  const { fail, lines } = watched();
  fail(...Array.from({ length: 1_000 }, (_, n) => `problem ${n}`));
  expect(lines.length).toBeLessThan(50);
});

test('the next outage is logged like the first one', () => {
  const { fail, lines, open, commands } = watched();
  open();
  for (let outage = 0; outage < 2; outage++) {
    commands.emit('close');
    fail('refused', 'refused');
    commands.emit('ready');
  }
  const outage = [expect.stringMatching(/broke: trying again$/), 'refused', expect.stringMatching(/answers again/)];
  expect(messagesOf(lines)).toEqual([...outage, ...outage]);
});

test('a server that breaks each new link, as one that became a replica does, does not fill the log', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const { fail, lines, open, commands } = watched();
  open();
  for (let outage = 0; outage < 100; outage++) {
    commands.emit('close');
    fail('it is a replica');
    commands.emit('ready');
    vi.advanceTimersByTime(200);
  }
  expect(messagesOf(lines).filter((message) => message.endsWith('broke: trying again'))).toHaveLength(4);
  expect(lines.length).toBeLessThanOrEqual(14);
  expect(lines.some(({ fields }) => fields.repeated === 48)).toBe(true);
});

test('the end of a long outage is logged although its beginning was one of many', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const { lines, open, commands } = watched();
  open();
  for (let outage = 0; outage < 5; outage++) {
    commands.emit('close');
    commands.emit('ready');
  }
  commands.emit('close');
  vi.advanceTimersByTime(30_000);
  commands.emit('ready');
  expect(lines.at(-1)!.message).toMatch(/answers again, after 30\.0 s$/);
});
