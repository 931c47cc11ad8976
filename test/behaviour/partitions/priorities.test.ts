/** Priorities in a docket with four partitions: each partition keeps to them, and none holds up another. */
import { call, task } from 'docket';
import { expect, test } from 'vitest';
import { divide, keyIn } from '../../support/partitions.js';
import { setStage } from '../../support/stage.js';
import { describeEachServer } from '../../support/suites.js';

const COUNT = 4;
const ALL = [0, 1, 2, 3];
const NUMBERS = [1, 2, 3, 4, 5];
const EACH = 200;

describeEachServer('priorities in a docket with four partitions', (url) => {
  const stage = setStage(url);

  test.each(['15m', 0] as const)('decide what starts first in each of them (executionTtl %s)', async (executionTtl) => {
    await divide(stage.docket(), COUNT);
    const docket = stage.docket({ executionTtl });
    const order: string[] = [];
    const note = task('note', ({ name }: { name: string }) => void order.push(name));
    for (const priority of ['low', 'normal', 'high'] as const) {
      const calls = ALL.flatMap((partition) =>
        NUMBERS.map((n) =>
          call(
            note,
            { name: `${partition} ${priority} ${n}` },
            { priority, key: keyIn(partition, COUNT, `${priority}-${n}-`) },
          ),
        ),
      );
      await docket.addMany(calls);
    }
    await stage.finish({ note }, { concurrency: 1 });
    expect(order).toHaveLength(3 * NUMBERS.length * COUNT);
    for (const partition of ALL) {
      const own = order.flatMap((name) => (name.startsWith(`${partition} `) ? [name.slice(2)] : []));
      for (const priority of ['high', 'normal', 'low']) {
        const ofIt = own.filter((name) => name.startsWith(priority));
        expect(ofIt).toEqual(NUMBERS.map((n) => `${priority} ${n}`));
      }
      // A read that waits for the first entry may bring a few of each stream, so not all that are high start before any other.
      expect(own[0]).toBe('high 1');
      expect(own.filter((name) => name.endsWith(' 5'))).toEqual(['high 5', 'normal 5', 'low 5']);
    }
  });

  test('let a high one start among the next, however long the backlog of each of them', async () => {
    await divide(stage.docket(), COUNT);
    const docket = stage.docket({ executionTtl: 0 });
    const order: string[] = [];
    const note = task('note', async ({ name }: { name: string }) => {
      order.push(name);
      await new Promise((resolve) => setTimeout(resolve, 1));
    });
    const backlog = ALL.flatMap((partition) =>
      Array.from({ length: EACH }, (_, i) =>
        call(note, { name: `${partition}` }, { key: keyIn(partition, COUNT, `k${i}-`) }),
      ),
    );
    await docket.addMany(backlog);
    const high = ALL.map((partition) =>
      call(note, { name: 'high' }, { priority: 'high', key: keyIn(partition, COUNT, 'high') }),
    );
    await docket.addMany(high);
    await stage.finish({ note }, { concurrency: 1 });
    expect(order).toHaveLength(COUNT * EACH + COUNT);
    expect(order.lastIndexOf('high')).toBeLessThan((COUNT * EACH) / 2);
  });
});
