import { expect, test } from 'vitest';
import { LogWindow } from '../../../src/channel/log-window.js';
import type { FromThread } from '../../../src/channel/protocol.js';
import { OutputSender } from '../../../src/thread/output.js';

function setUp() {
  const window = new LogWindow(undefined, 1);
  const sent: FromThread[] = [];
  const output = new OutputSender(window, (message) => sent.push(message), { worker: 'w' });
  return { window, sent, output };
}

test('output is sent as it is: text as text, and bytes in memory of their own', () => {
  const { sent, output } = setUp();
  output.write('stdout', 'text\n');
  output.write('stderr', Buffer.from('bytes'));
  expect(sent).toEqual([
    { kind: 'output', stream: 'stdout', data: 'text\n', units: 1 },
    { kind: 'output', stream: 'stderr', data: new Uint8Array(Buffer.from('bytes')), units: 1 },
  ]);
  expect((sent[1] as { data: Uint8Array }).data.buffer.byteLength).toBe(5);
});

test('writes without room are counted, and the next write logs how many there were', () => {
  const { window, sent, output } = setUp();
  for (let i = 0; i < 260; i++) output.write('stdout', 'x');
  expect(sent).toHaveLength(256);
  window.written(256);
  output.write('stdout', 'y');
  expect(sent.slice(256)).toMatchObject([
    {
      kind: 'log',
      line: {
        level: 'warn',
        message: '4 writes to stdout or stderr were dropped, because the worker could not write them in time',
      },
    },
    { data: 'y' },
  ]);
});
