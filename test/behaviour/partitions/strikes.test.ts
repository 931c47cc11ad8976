/** Strikes in a docket with four partitions: for producers with an old view, for what is queued, and after a restore. */
import { call, task } from 'docket';
import { expect, test } from 'vitest';
import { divide, keyIn, placesOf } from '../../support/partitions.js';
import { setStage } from '../../support/stage.js';
import { describeEachServer } from '../../support/suites.js';

const COUNT = 4;
const ALL = [0, 1, 2, 3];

describeEachServer('a strike in a docket with four partitions', (url) => {
  const stage = setStage(url);
  const ran: string[] = [];
  const charge = task('charge', ({ customer }: { customer: string }) => void ran.push(customer));
  const inEach = (customer: string) =>
    ALL.map((partition) => call(charge, { customer }, { key: keyIn(partition, COUNT, `${customer}-`) }));

  test('cancels what was queued in each of them, and only that', async () => {
    ran.length = 0;
    await divide(stage.docket(), COUNT);
    const docket = stage.docket();
    const handles = await docket.addMany([...inEach('bad'), ...inEach('good')]);
    await docket.strike(charge, 'customer', '==', 'bad');
    await stage.finish({ charge });
    await Promise.all(handles.map((handle) => handle.sync()));
    expect(handles.map(({ state }) => state)).toEqual([
      ...Array(COUNT).fill('cancelled'),
      ...Array(COUNT).fill('completed'),
    ]);
    expect(ran).toEqual(Array(COUNT).fill('good'));
  });

  test('holds for a producer that knew neither of it nor of the partitions', async () => {
    ran.length = 0;
    const producer = stage.docket();
    await producer.add(charge, { customer: 'first' });
    await stage.finish({ charge });
    await divide(stage.docket(), COUNT);
    await stage.docket().strike(charge, 'customer', '==', 'bad');
    const handles = await producer.addMany([...inEach('bad'), ...inEach('good')]);
    expect(handles.map(({ disposition }) => disposition)).toEqual([
      ...Array(COUNT).fill('struck'),
      ...Array(COUNT).fill('scheduled'),
    ]);
    const redis = await stage.redis();
    for (const partition of ALL) {
      const place = (customer: string) => placesOf(redis, stage.name, COUNT, keyIn(partition, COUNT, `${customer}-`));
      expect([await place('bad'), await place('good')]).toEqual([[], [partition]]);
    }
  });

  test('is lifted in each of them by a restore, and for all producers', async () => {
    ran.length = 0;
    await divide(stage.docket(), COUNT);
    const [producer, operator] = [stage.docket(), stage.docket()];
    await operator.strike(charge);
    const struck = await producer.addMany(inEach('one'));
    expect(struck.map(({ disposition }) => disposition)).toEqual(Array(COUNT).fill('struck'));
    expect(await operator.restore(charge)).toBe(true);
    const handles = await producer.addMany(inEach('one'));
    expect(handles.map(({ disposition }) => disposition)).toEqual(Array(COUNT).fill('scheduled'));
    await stage.finish({ charge });
    expect(ran).toEqual(Array(COUNT).fill('one'));
  });
});
