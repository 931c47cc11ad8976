import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LogWindow } from '../../../src/channel/log-window.js';
import type { FromThread } from '../../../src/channel/protocol.js';
import { LogSender } from '../../../src/thread/log-sender.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function setUp() {
  const window = new LogWindow(undefined, 1);
  const sent: string[] = [];
  const send = (message: FromThread) => {
    if (message.kind === 'log') sent.push(message.line.message);
  };
  const sender = new LogSender(window, send, { worker: 'w' });
  const log = (message: string, times = 1) => {
    for (let i = 0; i < times; i++) sender.send({ level: 'info', message, fields: {} });
  };
  return { window, sent, sender, log };
}

const DROPPED = '14 log lines were dropped, because the worker could not write them in time';

test('lines that had no room are counted, and the next one says how many they were', () => {
  const { window, sent, log } = setUp();
  log('a', 270);
  expect(sent).toHaveLength(256);
  window.written(256);
  log('b');
  expect(sent.slice(256)).toEqual([DROPPED, 'b']);
});

test('the number is told also when nothing is logged any more, once', () => {
  const { sent, sender, log } = setUp();
  log('a', 270);
  vi.advanceTimersByTime(1_000);
  sender.flush();
  expect(sent.slice(256)).toEqual([DROPPED]);
});
