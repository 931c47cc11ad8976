/** Strikes and pauses that are made, or taken back, while the partitions change. */
import { type Docket, task } from 'docket';
import { expect, test } from 'vitest';
import { importBuilt } from '../../support/built.js';
import { divide, keyIn, keysOfAll } from '../../support/partitions.js';
import { setStage } from '../../support/stage.js';
import { describeEachServer } from '../../support/suites.js';
import { deferred, waitFor } from '../../support/wait.js';

const { internalsOf } = await importBuilt<typeof import('../../../src/client/internals.js')>('client/internals.js');
const { beginLayoutChange, endLayoutChange, setLayout } =
  await importBuilt<typeof import('../../../src/redis/layout-store.js')>('redis/layout-store.js');

const note = task('note', (_args: {}) => {});
const MINE = { token: 'mine', expiresMs: 60_000 };

describeEachServer('while the partitions change,', (url) => {
  const stage = setStage(url);

  /** Returns what each of two partitions has in its lists. */
  async function lists(): Promise<string[][]> {
    const redis = await stage.redis();
    const both = keysOfAll(stage.name, 2).map(async (keys) => {
      const fields = [...(await redis.hkeys(keys.strikes)), ...(await redis.hkeys(keys.paused))];
      return fields.filter((field) => field !== 'version').sort();
    });
    return await Promise.all(both);
  }

  /** Changes both lists, and resolves once partition 0 has that. */
  async function change(docket: Docket, does: 'make' | 'take back'): Promise<Promise<unknown>[]> {
    const changes =
      does === 'make' ? [docket.strike(note), docket.pause(note)] : [docket.restore(note), docket.resume(note)];
    await waitFor(async () => (await lists())[0]!.length === (does === 'make' ? 2 : 0));
    return changes;
  }

  for (const does of ['make', 'take back'] as const) {
    const expected = does === 'make' ? ['["note"]', '#note manual'].sort() : [];
    for (const isDrained of [false, true]) {
      const where = isDrained ? 'one that is drained and comes back' : 'a new one';
      test(`to ${does} a strike and a pause holds in ${where}, whenever that is between two commands of the copy`, async () => {
        for (let step = 1, isOver = false; !isOver; step++) {
          const docket = stage.docket();
          await divide(docket, 1, { force: true });
          if (isDrained) {
            await divide(docket, 2, { force: true });
            await docket.add(note, {}, { key: keyIn(1, 2), when: '1h' });
            await divide(docket, 1, { force: true });
          }
          if (does === 'take back') await Promise.all([docket.strike(note), docket.pause(note)]);
          const other = stage.docket();
          await other.strikes(); // it knows of the partitions that are drained
          const changes: Promise<unknown>[] = [];
          const counted = beforeCommand(docket, step, async () => {
            changes.push(...(await change(other, does)));
          });
          await divide(docket, 2, { force: true });
          isOver = counted() < step;
          if (isOver) changes.push(...(await change(other, does)));
          await Promise.all(changes);
          expect([step, ...(await lists())]).toEqual([step, expected, expected]);
          if (does === 'make') await Promise.all([other.restore(note), other.resume(note)]);
          await other.clear();
        }
      });
    }
  }

  test('a strike waits until that is over, although whoever changes them dies once the layout is written', async () => {
    const redis = await stage.redis();
    const [keys] = keysOfAll(stage.name, 1);
    await beginLayoutChange(redis, keys!, MINE);
    let isDone = false;
    const docket = stage.docket();
    const striking = docket.strike(note).then(() => {
      isDone = true;
    });
    const pausing = docket.pause(note);
    await waitFor(async () => (await lists())[0]!.length === 2);
    for (let i = 0; i < 10; i++) await docket.strikes();
    expect(isDone).toBe(false);
    await setLayout(redis, keys!, { tags: ['', '1'], draining: [] }, { ...MINE, versionBefore: '' });
    await endLayoutChange(redis, keys!, MINE); // as if the mark had expired
    await Promise.all([striking, pausing]);
    expect((await lists())[1]).toEqual(['["note"]', '#note manual'].sort());
    expect((await stage.docket().add(note, {}, { key: keyIn(1, 2) })).disposition).toBe('struck');
    await docket.resume(note);
  });

  test('a strike that reaches partition 0 late is in no other before, so the copy does not take it away', async () => {
    const docket = stage.docket();
    await divide(docket, 2);
    await docket.add(note, {}, { key: keyIn(1, 2), when: '1h' });
    await divide(docket, 1, { force: true });
    const late = stage.docket();
    await late.strikes();
    const released = deferred();
    const { first } = internalsOf(late).partitions;
    const run = first.run.bind(first);
    const runLate: typeof first.run = async (commands) => {
      await released.promise;
      return await run(commands);
    };
    Object.assign(first, { run: runLate });
    const striking = late.strike(note);
    for (let i = 0; i < 10; i++) await docket.strikes();
    await divide(docket, 2, { force: true });
    released.resolve();
    await striking;
    expect(await lists()).toEqual([['["note"]'], ['["note"]']]);
  });
});

/** Does something before the command with this number that a docket sends to partition 1. Returns how many it has sent. */
function beforeCommand(docket: Docket, number: number, action: () => Promise<void>): () => number {
  const partition = internalsOf(docket).partitions.at('1');
  const run = partition.run.bind(partition);
  let sent = 0;
  const counted: typeof run = async (commands) => {
    sent += 1;
    if (sent === number) await action();
    return await run(commands);
  };
  Object.assign(partition, { run: counted });
  return () => sent;
}
