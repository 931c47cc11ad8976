/** What a worker logs of partitions that it cannot serve. */
import { expect, test } from 'vitest';
import { PartitionLog } from '../../../../src/worker/watch/partition-log.js';
import { recordingLogger } from '../../../support/logger.js';

function watched(count: number) {
  const { logger, lines } = recordingLogger();
  const down = new Map<number, string>();
  const health = () => Array.from({ length: count }, (_, i) => ({ partition: String(i), reason: down.get(i) ?? null }));
  const log = new PartitionLog({ health, everyMs: 1_000, logger });
  const look = (times: number) => {
    for (let i = 0; i < times; i++) log.look();
  };
  return { lines, down, look };
}

test('partitions that go down together are named in one line, and in one more when they are back', () => {
  const { lines, down, look } = watched(4);
  look(2);
  down.set(1, 'no heartbeat').set(3, 'no heartbeat');
  look(20);
  down.clear();
  look(20);
  expect(lines).toMatchObject([
    {
      level: 'warn',
      message: 'no work is taken from partitions 1, 3: no heartbeat',
      fields: { partitions: ['1', '3'] },
    },
    { level: 'info', message: expect.stringMatching(/^work is taken from partitions 1, 3 again, after \d+\.\d s$/) },
  ]);
});

test('one that is down at a single look, as on a busy machine, is not logged', () => {
  const { lines, down, look } = watched(2);
  for (let i = 0; i < 5; i++) {
    down.set(1, 'late');
    look(1);
    down.clear();
    look(1);
  }
  expect(lines).toEqual([]);
});

test('a docket with one partition is left to the lines about its links', () => {
  const { lines, down, look } = watched(1);
  down.set(0, 'no heartbeat');
  look(3);
  down.clear();
  look(3);
  expect(lines).toEqual([]);
});
