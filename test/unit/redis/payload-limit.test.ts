import type { Redis } from 'ioredis';
import { expect, test, vi } from 'vitest';
import { payloadLimit } from '../../../src/redis/payload-limit.js';

const MIB = 1024 * 1024;

function serverWith(config: () => Promise<string[]>) {
  const asked = vi.fn(config);
  return { redis: { config: asked } as unknown as Redis, asked };
}

test('a payload that every server takes needs no command', async () => {
  const { redis, asked } = serverWith(async () => []);
  expect(await payloadLimit(redis, MIB)).toBe(MIB);
  expect(asked).not.toHaveBeenCalled();
});

test('a larger one is bounded by what the server takes', async () => {
  const { redis } = serverWith(async () => ['proto-max-bulk-len', String(4 * MIB)]);
  expect(await payloadLimit(redis, 2 * MIB)).toBe(2 * MIB);
  expect(await payloadLimit(redis, 8 * MIB)).toBe(4 * MIB - 64 * 1024);
});

test('the default limit is assumed for a server that does not say', async () => {
  const { redis } = serverWith(() => Promise.reject(new Error('NOPERM')));
  expect(await payloadLimit(redis, 100 * MIB)).toBe(100 * MIB);
});
