import { expect, test, vi } from 'vitest';
import { StrikeFilter } from '../../../src/client/strike-filter.js';
import { RedisUnavailableError } from '../../../src/core/errors.js';

const BATCH = [{ task: 'charge', args: {} }];

/** A list whose version grows with each load. */
function changingList() {
  let version = 0;
  const load = async () => ({ strikes: [], version: String(++version) });
  return { filter: new StrikeFilter(load), latest: () => String(version) };
}

test('a batch is sent again with the version that was loaded last, until that holds', async () => {
  const { filter, latest } = changingList();
  const versions: string[] = [];
  const placed = await filter.place(BATCH, async (_calls, version) => {
    versions.push(version);
    return version === latest() && versions.length >= 20 ? ['placed'] : null;
  });
  expect(placed).toEqual(['placed']);
  expect(versions).toEqual(['', ...Array.from({ length: 19 }, (_, i) => String(i + 1))]);
});

test('a batch that can never be checked is refused, and is at no time written without a version', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(0);
  const { filter } = changingList();
  const versions = new Set<string>();
  const placing = filter.place(BATCH, async (_calls, version) => {
    versions.add(version);
    return null;
  });
  await expect(placing).rejects.toThrow(RedisUnavailableError);
  await expect(placing).rejects.toThrow(/nothing was added.*strikes.*try again/);
  expect(versions.size).toBe(100);
  expect([...versions].filter((version) => !/^\d*$/.test(version))).toEqual([]);
  vi.restoreAllMocks();
});
