/** Records in which somebody has written values of another kind: text in place of times, and tokens that are none. */
import { perpetual, task } from 'docket';
import { expect, test } from 'vitest';
import { importBuilt } from '../support/built.js';
import { schedulesOf } from '../support/chains.js';
import { setStage } from '../support/stage.js';
import { describeOnAnyServer } from '../support/suites.js';

const { PARKED, RECORD, WORKER } = await importBuilt<typeof import('../../src/redis/schema.js')>('redis/schema.js');

const note = task('note', (_args: {}, { key }) => key);
const HOURLY = { when: '1h', perpetual: perpetual({ every: '1h' }) } as const;

/** Fields of a record, and what is written there. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  [RECORD.due]: ['soon', '', '1e300', '-9e18'],
  [RECORD.generation]: ['first', '1e300'],
  [RECORD.started]: ['now', '1e300'],
  [RECORD.ended]: ['never', '1e300'],
  [RECORD.attempt]: ['one'],
  [RECORD.entry]: ['here', 'w', 'w1', 'z1-1 2'],
  [RECORD.failedAttempts]: ['1\t1e300\t1e300\tw\tline', 'nonsense'],
  [RECORD.lastRun]: ['completed 99999999999999999999 x', 'running 5 x', 'x'],
  [RECORD.chain]: [
    'x',
    'null',
    '{"everyMs":"1h"}',
    '{"everyMs":-1}',
    '{"everyMs":1e300}',
    '{"expression":5,"timezone":"UTC"}',
    '{"expression":"* * * * *","timezone":"No/Where"}',
    '{"everyMs":1000,"untilMs":1e300}',
    '{"everyMs":1000,"runsLeft":"two"}',
  ],
  [PARKED.booking]: ['x', 'one two three'],
  [PARKED.needs]: ['x y z'],
};
const CASES = Object.entries(VALUES).flatMap(([field, values]) => values.map((value) => ({ field, value })));

/** Fails when a date in the value, at any depth, is none. */
function expectDates(value: unknown): void {
  if (value instanceof Date) expect(value.getTime()).not.toBeNaN();
  else if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) expectDates(inner);
}

describeOnAnyServer('a record with values of another kind', (url) => {
  const stage = setStage(url);

  test('keeps no other out of a list, is shown with dates that are dates, and can be cancelled', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    for (const { field, value } of CASES) {
      await docket.add(note, {}, { key: 'bad', ...HOURLY });
      await docket.add(note, {}, { key: 'good', ...HOURLY });
      await redis.hset(stage.key('run:bad'), field, value);
      const listed = [];
      for await (const one of docket.list()) listed.push(one);
      const schedules = await schedulesOf(docket);
      expect([listed, schedules].map((list) => list.map(({ key }) => key))).toEqual([
        expect.arrayContaining(['good']),
        expect.arrayContaining(['good']),
      ]);
      const shown = await docket.show('bad');
      expect(shown?.key).toBe('bad');
      expectDates([listed, schedules, shown, await docket.snapshot()]);
      await docket.cancel('bad');
      await docket.cancel('good');
      expect([field, value, await redis.zcard(stage.key('schedule'))]).toEqual([field, value, 0]);
      await redis.del(stage.key('run:bad'), stage.key('run:good'));
    }
  });

  test('of a worker keeps the other workers and what they have in the lists', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    const soon = Date.now() + 60_000;
    await redis.zadd(stage.key('workers'), soon, 'bad:1', soon, 'good:1');
    const report = { [WORKER.name]: 'good', [WORKER.tasks]: '["note"]', [WORKER.logged]: '{"note":["a"]}' };
    await redis.hset(stage.key('worker:good:1'), report);
    for (const text of ['x', '5', 'null', '{"a":5}', '[[1]]']) {
      await redis.hset(stage.key('worker:bad:1'), { ...report, [WORKER.name]: 'bad', [WORKER.seen]: text });
      await redis.hset(stage.key('worker:bad:1'), { [WORKER.tasks]: text, [WORKER.logged]: text });
      const workers = await docket.workers();
      expect(workers.map(({ name, tasks }) => [name, tasks])).toEqual([
        ['bad', []],
        ['good', ['note']],
      ]);
      expectDates(workers);
    }
    await redis.del(stage.key('workers'), stage.key('worker:bad:1'), stage.key('worker:good:1'));
  });
});
