import { expect, test, vi } from 'vitest';
import { logRetry } from '../../../src/worker/log-retry.js';
import { stopTime } from '../../support/fake-time.js';
import { recordingLogger } from '../../support/logger.js';

stopTime();

test('what fails again and again is logged once in ten seconds, with how often it failed meanwhile', async () => {
  const { logger, lines } = recordingLogger();
  const fail = () => logRetry(logger, new Error('NOREPLICAS not enough'), 'writing failed', { count: 3 });
  for (let i = 0; i < 100; i++) fail();
  await vi.advanceTimersByTimeAsync(10_001);
  for (let i = 0; i < 100; i++) fail();
  const line = {
    level: 'warn',
    message: expect.stringMatching(/^writing failed, trying again: .* min-replicas-to-write$/),
  };
  const fields = { error: 'Error: NOREPLICAS not enough', count: 3 };
  expect(lines).toEqual([
    { ...line, fields },
    { ...line, fields: { ...fields, repeated: 99 } },
  ]);
});

test('a command on a link that is down is told as that, and not in the words of the client', () => {
  const { logger, lines } = recordingLogger();
  const error = new Error(
    'Reached the max retries per request limit (which is 0). Refer to "maxRetriesPerRequest" option',
  );
  logRetry(logger, Object.assign(error, { name: 'MaxRetriesPerRequestError' }), 'moving failed');
  logRetry(logger, Object.assign(new Error('connect ECONNREFUSED ::1:1'), { syscall: 'connect' }), 'opening failed');
  expect(lines.map(({ fields }) => fields.error)).toEqual(['the link is down', 'Error: connect ECONNREFUSED ::1:1']);
});

test('another failure, another kind of error and another logger are logged at once', () => {
  const { logger, lines } = recordingLogger();
  const other = recordingLogger();
  for (let i = 0; i < 3; i++) {
    logRetry(logger, new Error('NOREPLICAS not enough'), 'writing failed');
    logRetry(logger, new Error(`READONLY replica ${i}`), 'writing failed');
    logRetry(logger, new Error('NOREPLICAS not enough'), 'reading failed');
    logRetry(other.logger, new Error('NOREPLICAS not enough'), 'writing failed');
  }
  expect(lines).toHaveLength(3);
  expect(other.lines).toHaveLength(1);
});
