import { expect, test } from 'vitest';
import { ThreadBootError } from '../../src/core/errors.js';
import { Crew } from '../../src/worker/crew.js';
import { Dispatcher } from '../../src/worker/dispatcher.js';
import type { Thread } from '../../src/worker/thread.js';
import { deferred } from '../support/wait.js';

const ignore = () => {};
const logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

function dispatcherOf(threads: number): Dispatcher {
  const events = { onOutcome: ignore, onLostThread: ignore, onPostpone: ignore, onHandBack: ignore, onRoom: ignore };
  return new Dispatcher(threads, threads, events);
}

/** A thread that has loaded its tasks and exits before it was given anything. */
function shortLived(): Thread {
  const exited = new Promise<void>((resolve) => setImmediate(resolve));
  return { manifest: [], run: () => new Promise(ignore), attend: ignore, exited, terminate: async () => {} };
}

test('threads that exit idle right after each boot break the crew, the fifth time in a row', async () => {
  const broken = deferred<Error>();
  let starts = 0;
  const start = async () => {
    starts += 1;
    return shortLived();
  };
  const crew = new Crew({ dispatcher: dispatcherOf(1), logger, start, onBroken: broken.resolve });
  await crew.start();
  const error = await broken.promise;
  expect(error).toBeInstanceOf(ThreadBootError);
  expect(error.message).toContain('soon after they have loaded the tasks');
  await crew.stop();
  expect(starts).toBe(5);
});
