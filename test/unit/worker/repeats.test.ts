import { expect, onTestFinished, test, vi } from 'vitest';
import { withoutRepeats } from '../../../src/worker/repeats.js';
import { recordingLogger } from '../../support/logger.js';

function open() {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const { logger, lines } = recordingLogger();
  return { log: withoutRepeats(logger), lines };
}

const REFUSAL = { error: 'ReplyError: NOREPLICAS Not enough good replicas to write.' };

test('a warning with the same error is written once in 30 seconds, and then with the number of those left out', () => {
  const { log, lines } = open();
  for (let i = 0; i < 100; i++) log.warn(REFUSAL, 'reading failed');
  expect(lines).toHaveLength(1);
  vi.advanceTimersByTime(30_000);
  log.warn(REFUSAL, 'reading failed');
  expect(lines[1]!.fields).toEqual({ ...REFUSAL, repeated: 99 });
});

test('another error, another warning, and warnings without an error are written', () => {
  const { log, lines } = open();
  log.warn({ error: 'one' }, 'reading failed');
  log.warn({ error: 'two' }, 'reading failed');
  log.warn({ error: 'two' }, 'claiming failed');
  for (let i = 0; i < 3; i++) log.warn({ task: 'a' }, 'a lost its thread');
  for (let i = 0; i < 3; i++) log.error({ error: 'two' }, 'reading failed');
  expect(lines).toHaveLength(9);
});

test('a warning says what the refusal of the server means', () => {
  const { log, lines } = open();
  log.warn(REFUSAL, 'reading failed');
  expect(lines[0]!.message).toMatch(/^reading failed: the server has too few good replicas .*min-replicas-to-write$/);
});
