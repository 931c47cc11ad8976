import { expect, test } from 'vitest';
import { firstAnswer, NoAnswerError, tlsFor } from '../../../src/redis/first-answer.js';

const SERVERS = [1, 2, 3].map((port) => ({ host: 'a', port }));
const never = new AbortController().signal;

test('a server that fails is followed by the next one, and the first answer counts', async () => {
  const asked: number[] = [];
  const ask = async ({ port }: { port: number }) => {
    asked.push(port);
    if (port < 2) throw new Error('refused');
    return port;
  };
  expect(await firstAnswer(SERVERS, ask, never)).toBe(2);
  expect(asked).toEqual([1, 2]);
});

test('a silent server does not keep the others from being asked, and is told to give up', async () => {
  let isOver = false;
  const ask = ({ port }: { port: number }, signal: AbortSignal) =>
    port === 3
      ? Promise.resolve(port)
      : new Promise<number>(() => {
          signal.addEventListener('abort', () => {
            isOver = true;
          });
        });
  expect(await firstAnswer(SERVERS, ask, never)).toBe(3);
  expect(isOver).toBe(true);
});

test('when none answers, the error says what was wrong with each', async () => {
  const ask = ({ port }: { port: number }) => Promise.reject(new Error(`no ${port}`));
  const error = await firstAnswer(SERVERS, ask, never).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(NoAnswerError);
  expect((error as NoAnswerError).problems.map(({ error }) => error.message)).toEqual(['no 1', 'no 2', 'no 3']);
});

test('a search that is given up rejects with the reason', async () => {
  const call = new AbortController();
  const searching = firstAnswer(SERVERS, () => new Promise(() => {}), call.signal);
  call.abort(new Error('closed'));
  await expect(searching).rejects.toThrow('closed');
});

test('a certificate must have the name of the host, unless another is given or the host is an address', () => {
  expect(tlsFor({ host: 'redis.internal', port: 1 }, {})).toEqual({ servername: 'redis.internal' });
  expect(tlsFor({ host: '10.0.0.1', port: 1 }, { ca: 'PEM' })).toEqual({ ca: 'PEM' });
  expect(tlsFor({ host: 'a', port: 1 }, { servername: 'b' })).toEqual({ servername: 'b' });
});
