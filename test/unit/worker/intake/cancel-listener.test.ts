/** How a worker follows the cancels over reconnects. */
import { EventEmitter } from 'node:events';
import { expect, test, vi } from 'vitest';
import { onAbort } from '../../../../src/core/abort.js';
import { keysOf } from '../../../../src/redis/keys.js';
import { CancelListener, type CancelListenerOptions } from '../../../../src/worker/intake/cancel-listener.js';
import { silent } from '../../../support/stage.js';
import { type Deferred, deferred, waitFor } from '../../../support/wait.js';

/** A pause that ends early or never. */
vi.mock('../../../../src/core/service.js', async (importActual) => ({
  ...(await importActual<typeof import('../../../../src/core/service.js')>()),
  pause: (_ms: number, signal: AbortSignal) => new Promise<void>((resolve) => onAbort(signal, resolve)),
}));

/** A link for subscriptions, whose answers the test gives, and a server without cancels. */
function followed() {
  const answers: Deferred<void>[] = [];
  const link = new EventEmitter();
  const failed = deferred();
  const subscribe = () => {
    answers.push(deferred());
    return answers.at(-1)!.promise;
  };
  const options = {
    redis: { zrangebyscore: async () => [], zrange: async () => [], time: async () => ['0', '0'] },
    subscriber: Object.assign(link, { subscribe }),
    keys: keysOf('docket'),
    logger: { ...silent, warn: () => failed.resolve() },
    inHand: () => [],
    dispatcher: { cancel: () => [], takeBackUnstarted: () => [] },
    settle: () => {},
  } as unknown as CancelListenerOptions;
  const listener = new CancelListener(options);
  return { answers, link, listener, failed: failed.promise };
}

test('However often its link comes back, a worker subscribes to the cancels once at a time', async () => {
  const { answers, link, listener } = followed();
  listener.start();
  for (let links = 0; links < 3; links++) link.emit('close');
  for (let links = 0; links < 3; links++) link.emit('ready');
  expect(answers).toHaveLength(1);
  answers[0]!.reject(new Error('the link broke'));
  await waitFor(() => answers.length === 2);
  link.emit('ready');
  answers[1]!.reject(new Error('the link broke'));
  await waitFor(() => answers.length === 3);
  answers[2]!.resolve();
  await waitFor(() => listener.isFollowing);
  expect(answers).toHaveLength(3);
  await listener.stop();
});

test('A worker that could not subscribe does so as soon as its link is back', async () => {
  const { answers, link, listener, failed } = followed();
  listener.start();
  answers[0]!.reject(new Error('the link broke'));
  await failed;
  link.emit('ready');
  await waitFor(() => answers.length === 2);
  answers[1]!.resolve();
  await waitFor(() => listener.isFollowing);
  link.emit('close');
  expect(listener.isFollowing).toBe(false);
  await listener.stop();
});
