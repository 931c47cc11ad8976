/** The tags of new partitions. */
import { expect, test } from 'vitest';
import { tagsFor } from '../../../src/redis/cluster-map.js';

test('on one server each partition has its number for a tag, and those that are there keep theirs', async () => {
  expect(await tagsFor({ tags: [''] }, 4, null)).toEqual(['', '1', '2', '3']);
  expect(await tagsFor({ tags: ['', '1.5'] }, 3, null)).toEqual(['', '1.5', '2']);
  expect(await tagsFor({ tags: ['', '1', '2'] }, 2, null)).toEqual(['', '1']);
});

test('the masters of a cluster share the partitions evenly, and partition 0 counts', async () => {
  const masters = ['a', 'b', 'c'];
  const masterOf = async (tag: string) =>
    masters[[...tag].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) % 3]!;
  for (const count of [3, 4, 6, 9]) {
    const tags = await tagsFor({ tags: [''] }, count, masterOf, masters);
    expect([tags.length, new Set(tags).size, tags[0]]).toEqual([count, count, '']);
    const shares = new Map(masters.map((master) => [master, 0]));
    for (const tag of tags) shares.set(await masterOf(tag), shares.get(await masterOf(tag))! + 1);
    expect(Math.max(...shares.values()) - Math.min(...shares.values())).toBeLessThanOrEqual(1);
  }
});

test('a partition is placed somewhere even if no tag leads to the master with the fewest', async () => {
  expect(await tagsFor({ tags: [''] }, 2, async () => 'a', ['a', 'b'])).toHaveLength(2);
});
