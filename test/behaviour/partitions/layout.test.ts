/** The layout of a docket as it is kept in Redis, and the marks that keep producers from adding while it changes. */
import { task } from 'docket';
import { expect, test } from 'vitest';
import { importBuilt } from '../../support/built.js';
import { setStage } from '../../support/stage.js';
import { describeEachServer } from '../../support/suites.js';
import { waitFor } from '../../support/wait.js';

const { keysOf } = await importBuilt<typeof import('../../../src/redis/keys.js')>('redis/keys.js');
const { beginLayoutChange, endLayoutChange, forgetPartition, isPartitionEmpty, layoutSource, loadLayout, setLayout } =
  await importBuilt<typeof import('../../../src/redis/layout-store.js')>('redis/layout-store.js');
const { loadStrikes } = await importBuilt<typeof import('../../../src/redis/strike-store.js')>('redis/strike-store.js');
const { ListFollower } =
  await importBuilt<typeof import('../../../src/redis/list-follower.js')>('redis/list-follower.js');
type Layout = import('../../../src/redis/layout-store.js').Layout;

const echo = task('echo', (_args: {}) => null);
const MINE = { token: 'mine', expiresMs: 60_000 };
const FIRST = { ...MINE, versionBefore: '' };

test('the keys of a partition have a hash tag of their own, and partition 0 has that of its docket', () => {
  expect(keysOf('d').work).toBe('{d}:work');
  expect(keysOf('d', { tag: '2.1' }).work).toBe('{d/2.1}:work');
  expect(keysOf('d', { tag: '2', db: 3 }).cancel).toBe('{d/2}:@3:cancel');
  expect(() => keysOf('d', { tag: '}:x' })).toThrow(/tag/);
});

describeEachServer('the layout of a docket', (url) => {
  const stage = setStage(url);
  const open = async () => ({ redis: await stage.redis(), keys: keysOf(stage.name) });

  /** Writes a layout as a change does. */
  async function lay(tags: readonly string[], draining: readonly string[] = []): Promise<string | null> {
    const { redis, keys } = await open();
    await beginLayoutChange(redis, keys, MINE);
    const { version: versionBefore } = await loadLayout(redis, keys);
    const version = await setLayout(redis, keys, { tags: ['', ...tags], draining }, { ...MINE, versionBefore });
    await endLayoutChange(redis, keys, MINE);
    return version;
  }

  test('is one partition until another was written, and is read as it was written', async () => {
    const { redis, keys } = await open();
    expect(await loadLayout(redis, keys)).toEqual({ version: '', tags: [''], draining: [] });
    const version = await lay(['1', '2.1'], ['3']);
    expect(await loadLayout(redis, keys)).toEqual({ version, tags: ['', '1', '2.1'], draining: ['3'] });
    const next = await lay([]);
    expect(Number(next)).toBeGreaterThan(Number(version));
    expect(await loadLayout(redis, keys)).toEqual({ version: next, tags: [''], draining: [] });
  });

  test('names no partition by a text that cannot be a tag', async () => {
    const { redis, keys } = await open();
    await redis.hset(keys.layout, 'version', '1', 'tags', '1 }:x 2', 'draining', '');
    expect((await loadLayout(redis, keys)).tags).toEqual(['', '1', '2']);
  });

  test('is written only while the mark of that change is there', async () => {
    const { redis, keys } = await open();
    const layout = { tags: ['', '1'], draining: [] };
    expect(await setLayout(redis, keys, layout, FIRST)).toBe(null);
    await beginLayoutChange(redis, keys, { ...MINE, token: 'other' });
    expect(await setLayout(redis, keys, layout, FIRST)).toBe(null);
    expect(await beginLayoutChange(redis, keys, MINE)).toBe(null);
    await endLayoutChange(redis, keys, MINE); // not its own
    expect(await redis.get(keys.layoutChange)).toBe('other');
    expect((await loadLayout(redis, keys)).version).toBe('');
  });

  test('cannot be written by a change whose mark has expired', async () => {
    const { redis, keys } = await open();
    await beginLayoutChange(redis, keys, { ...MINE, expiresMs: 1 });
    await waitFor(async () => (await redis.exists(keys.layoutChange)) === 0);
    expect(await setLayout(redis, keys, { tags: ['', '1'], draining: [] }, FIRST)).toBe(null);
  });

  test('cannot be written in place of another one than it was made from: partitions would be lost', async () => {
    const { redis, keys } = await open();
    await lay(['1', '2', '3']);
    await beginLayoutChange(redis, keys, MINE);
    expect(await setLayout(redis, keys, { tags: ['', '1'], draining: [] }, FIRST)).toBe(null);
    expect((await loadLayout(redis, keys)).tags).toEqual(['', '1', '2', '3']);
  });

  test('lets a mark be renewed while it is there, and not once it has expired: adds may have been written since', async () => {
    const { redis, keys } = await open();
    const renewed = { ...MINE, isRenewal: true };
    await beginLayoutChange(redis, keys, MINE);
    expect(await beginLayoutChange(redis, keys, renewed)).toBe(0);
    await redis.del(keys.layoutChange); // as it expires
    expect(await beginLayoutChange(redis, keys, renewed)).toBe(null);
    expect(await redis.exists(keys.layoutChange)).toBe(0);
  });

  test('changes with a new version of the strikes, so that an add that was checked against the old one is refused', async () => {
    const { redis, keys } = await open();
    await stage.docket().strike(echo);
    const before = await loadStrikes(redis, keys);
    await beginLayoutChange(redis, keys, MINE);
    const after = await loadStrikes(redis, keys);
    expect(Number(after.version)).toBeGreaterThan(Number(before.version));
    expect(after.strikes).toEqual(before.strikes);
    await beginLayoutChange(redis, keys, MINE); // goes on
    expect((await loadStrikes(redis, keys)).version).toBe(after.version);
    await endLayoutChange(redis, keys, MINE);
    expect(await redis.exists(keys.layoutChange)).toBe(0);
  });

  test('is told by one command whether a partition is empty, because work moves between its places', async () => {
    const { redis, keys } = await open();
    const isEmpty = async () => {
      const send = redis.sendCommand;
      let sent = 0;
      redis.sendCommand = function (...args) {
        sent += 1;
        return send.apply(this, args);
      };
      const empty = await isPartitionEmpty(redis, keys).finally(() => {
        redis.sendCommand = send;
      });
      expect(sent).toBe(1);
      return empty;
    };
    await isPartitionEmpty(redis, keys); // teaches the server the script
    expect(await isEmpty()).toBe(true);
    const docket = stage.docket();
    await docket.add(echo, {}, { key: 'later', when: '1h' });
    expect(await isEmpty()).toBe(false);
    await docket.cancel('later');
    expect(await isEmpty()).toBe(true);
    await docket.add(echo, {}, { key: 'now', priority: 'low' });
    expect(await isEmpty()).toBe(false);
  });

  test('forgets a partition that was drained, once', async () => {
    const { redis, keys } = await open();
    await lay(['1'], ['2', '3']);
    expect(await forgetPartition(redis, keys, '2')).toBe(true);
    expect(await forgetPartition(redis, keys, '2')).toBe(false);
    expect(await forgetPartition(redis, keys, '1')).toBe(false); // it is one of the docket's
    expect(await loadLayout(redis, keys)).toMatchObject({ tags: ['', '1'], draining: ['3'] });
  });

  test('arrives at a follower as it changes', async () => {
    const { redis, keys } = await open();
    const subscriber = redis.duplicate();
    const seen: Layout[] = [];
    const copy = {
      size: 0,
      replaceAll: (items: readonly Layout[]) => void seen.push(...items),
      add() {},
      delete() {},
    };
    const follower = new ListFollower({ source: layoutSource(redis, keys), copy, subscriber });
    try {
      await follower.open();
      expect(seen.at(-1)?.tags).toEqual(['']);
      await lay(['1', '2'], ['3']);
      await waitFor(() => seen.at(-1)?.tags.length === 3);
      await forgetPartition(redis, keys, '3');
      await waitFor(() => seen.at(-1)?.draining.length === 0);
    } finally {
      follower.close();
      subscriber.disconnect();
    }
  });
});
