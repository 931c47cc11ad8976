import { expect, test } from 'vitest';
import type { PauseTerms } from '../../../src/redis/pause-store.js';
import { type Remaining, WaitLog } from '../../../src/worker/wait-log.js';
import { recordingLogger } from '../../support/logger.js';

/** Returns the lines about these remains, noted one after the other. */
function linesFor(pauses: readonly PauseTerms[], remains: readonly Partial<Remaining>[]): string[] {
  const { logger, lines } = recordingLogger('info');
  const isDocketPaused = pauses.some(({ task }) => task === null);
  const log = new WaitLog({ list: pauses, isDocketPaused }, logger);
  for (const remaining of remains) log.note({ queued: 0, scheduled: 0, paused: 0, ...remaining });
  return lines.map(({ message }) => message);
}

const TASK = [{ task: 'charge', reason: 'deploy' }];
const DOCKET = [{ task: null, reason: 'deploy' }];

test('what is paused is named once, as long as it is the same', () => {
  expect(linesFor(TASK, [{ paused: 2 }, { paused: 2 }, { paused: 1 }])).toEqual([
    'waiting for paused executions to be resumed (2): charge (deploy)',
  ]);
});

test('it is named again after there was something else to wait for', () => {
  expect(linesFor(TASK, [{ paused: 2 }, { paused: 2, queued: 1 }, { paused: 3 }])).toHaveLength(2);
});

test('while the docket is paused, what is queued waits for the resume, too', () => {
  expect(linesFor(DOCKET, [{ queued: 2, paused: 1, scheduled: 7 }])).toEqual([
    'waiting for paused executions to be resumed (3): the docket (deploy)',
  ]);
});

test('nothing is said while other work remains, or none', () => {
  expect(linesFor(TASK, [{ paused: 2, queued: 1 }, { paused: 2, scheduled: 1 }, {}])).toEqual([]);
  expect(linesFor(DOCKET, [{ scheduled: 1 }])).toEqual([]);
  expect(linesFor([], [{ queued: 1 }])).toEqual([]);
});
