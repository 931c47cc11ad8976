import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { keysOf } from '../../../src/redis/keys.js';
import { surveyQueued } from '../../../src/redis/snapshot-store.js';
import { deferred } from '../../support/wait.js';

test('all streams are asked at once how far they were read, and empty ones nothing more', async () => {
  const keys = keysOf('d');
  const asked: string[] = [];
  const allAsked = deferred();
  const ask = async <T>(stream: string, answer: T): Promise<T> => {
    asked.push(stream);
    if (asked.length === 8) allAsked.resolve();
    await allAsked.promise;
    return answer;
  };
  const read: string[] = [];
  const redis = {
    xlen: (stream: string) => ask(stream, stream === keys.low ? 1 : 0),
    xinfo: (_: string, stream: string) => ask(stream, [['name', 'workers', 'last-delivered-id', '3-0']]),
    xrangeBuffer: async (stream: string, from: string) => {
      read.push(`${stream} ${from}`);
      return [[Buffer.from('5-0'), []]];
    },
  } as unknown as Redis;
  expect(await surveyQueued(redis, keys, 10)).toEqual([{ location: 'eb5-0', dueMs: 5 }]);
  expect(read).toEqual([`${keys.low} (3-0`]);
});
