import { expect, test, vi } from 'vitest';
import { workerLog } from '../../../src/worker/worker-log.js';
import { recordingLogger } from '../../support/logger.js';

const ABOUT = { docket: 'd', worker: 'w' };
const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

test('each line names its docket and worker', () => {
  const { logger, lines } = recordingLogger('debug');
  const log = workerLog(logger, ABOUT);
  for (const level of LEVELS) log[level]({ lane: 1 }, `at ${level}`);
  log.info('alone');
  expect(lines).toEqual([
    ...LEVELS.map((level) => ({ level, message: `at ${level}`, fields: { ...ABOUT, lane: 1 } })),
    { level: 'info', message: 'alone', fields: ABOUT },
  ]);
});

test('a logger that throws, rejects or lacks a level breaks nothing', async () => {
  const fail = () => {
    throw new Error('the disk is full');
  };
  const reject = vi.fn(async () => fail());
  const failing = { debug: undefined, info: fail, warn: fail, error: reject, isLevelEnabled: fail };
  const log = workerLog(failing as never, ABOUT);
  for (const level of LEVELS) log[level]({}, 'lost');
  await expect(reject.mock.results[0]!.value).rejects.toThrow('the disk is full'); // and nobody else hears of it
  expect(log.isLevelEnabled('debug')).toBe(true);
});

test('a logger is asked which levels are enabled; one that cannot be asked has all of them', () => {
  const { logger } = recordingLogger('info');
  const { isLevelEnabled: _, ...rest } = logger;
  expect(LEVELS.map((level) => workerLog(logger, ABOUT).isLevelEnabled(level))).toEqual([false, true, true, true]);
  expect(workerLog(rest, ABOUT).isLevelEnabled('debug')).toBe(true);
});
