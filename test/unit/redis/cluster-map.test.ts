/** The tags of new partitions. */
import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { readClusterMap, tagsFor } from '../../../src/redis/cluster-map.js';

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

test('the master of partition 0 gets no other one before the rest have one', async () => {
  const masterOf = async (tag: string) => (tag === '' || tag === '1' ? 'a' : 'b');
  expect(await tagsFor({ tags: [''] }, 2, masterOf, ['a', 'b'])).toEqual(['', '1.1']);
});

test('a partition is placed somewhere even if no tag leads to the master with the fewest', async () => {
  expect(await tagsFor({ tags: [''] }, 2, async () => 'a', ['a', 'b'])).toHaveLength(2);
});

/** Masters that do not know their hosts. Slot 9 is nobody's. */
function cluster(info: () => Promise<string>): Redis {
  const slots = [
    [0, 4, ['', 7000, 'a']],
    [5, 8, ['', 7000, 'b']],
    [10, 12, ['', 7000, 'a']],
  ];
  const reply = async (command: string, key: string) => (command === 'SLOTS' ? slots : Number(key));
  return { info, cluster: reply } as unknown as Redis;
}

test('the masters of a cluster are known by their ids, each once, with their slots', async () => {
  const map = (await readClusterMap(cluster(async () => 'cluster_enabled:1\r\n')))!;
  expect(map.masters).toEqual(['a', 'b']);
  expect(await Promise.all(['0', '4', '5', '8', '10', '12'].map((key) => map.masterOfKey(key)))).toEqual([
    ...['a', 'a', 'b', 'b', 'a', 'a'],
  ]);
  await expect(map.masterOfKey('9')).rejects.toThrow('no master of the cluster has the slot 9');
});

test('a server without cluster, and one whose INFO the user may not read, have no map', async () => {
  const refused = Object.assign(new Error('NOPERM this user has no permissions'), { name: 'ReplyError' });
  expect(await readClusterMap(cluster(async () => 'cluster_enabled:0\r\n'))).toBe(null);
  expect(await readClusterMap(cluster(() => Promise.reject(refused)))).toBe(null);
  await expect(readClusterMap(cluster(() => Promise.reject(new Error('the link broke'))))).rejects.toThrow('broke');
});
