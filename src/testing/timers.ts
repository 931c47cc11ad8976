/**
 * Tells whether timers run. Owns the rule that a test docket fails under timers that a test has faked and does not
 * advance: it would wait for them for ever, and say nothing.
 */
import { setTimeout as realDelay } from 'node:timers/promises';
import { FakeTimersError } from '../core/errors.js';

/**
 * How often, and how long, it waits for timers that need no time. Those that run have done so by the second look, since
 * each look is at least a turn of the event loop. The others are for fake timers that a test lets advance by
 * themselves.
 */
const LOOKS = 20;
const LOOK_MS = 100;

/** @throws FakeTimersError when what is scheduled for now never runs */
export async function checkTimersRun(): Promise<void> {
  let haveRun = false;
  const running = new Promise<void>((resolve) => {
    const end = () => {
      haveRun = true;
      resolve();
    };
    process.nextTick(() => setImmediate(() => setTimeout(end, 0)));
  });
  const looking = new AbortController();
  await Promise.race([running, looks(() => haveRun, looking.signal)]);
  looking.abort();
  if (!haveRun) throw new FakeTimersError();
}

async function looks(isOver: () => boolean, signal: AbortSignal): Promise<void> {
  for (let look = 0; look < LOOKS && !isOver() && !signal.aborted; look++) {
    await realDelay(LOOK_MS, undefined, { signal }).catch(() => {});
  }
}
