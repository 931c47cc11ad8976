/** A docket that records, and the assertions about what it has recorded. */
import { AssertionError } from 'node:assert';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { InvalidArgumentsError, NoServerError, TaskNotFoundError } from '../../../src/core/errors.js';
import { Agenda } from '../../../src/tasks/agenda.js';
import { call } from '../../../src/tasks/call.js';
import { collection } from '../../../src/tasks/collection.js';
import { task } from '../../../src/tasks/task.js';
import {
  assertNoTaskAdded,
  assertTaskAdded,
  assertTaskCompleted,
  assertTaskFailed,
} from '../../../src/testing/assertions.js';
import { recordingDocket } from '../../../src/testing/recording-docket.js';

const NOW = new Date('2027-01-01T00:00:00Z');
const charge = task('charge', { input: z.object({ orderId: z.number(), at: z.date().optional() }) }, () => 1);
const sweep = task('sweep', () => {});

describe('a recording docket', () => {
  test('records calls with their arguments as they were, keys and due times', async () => {
    const docket = recordingDocket({ now: NOW });
    const args = { orderId: 7 };
    await docket.add(charge, args, { key: 'c', when: '1m' });
    args.orderId = 8;
    const [, second] = await docket.addMany([call(sweep), call('other', { n: 1 }, { when: NOW })]);
    const oneMinuteLater = new Date(NOW.getTime() + 60_000);
    expect(docket.added).toMatchObject([
      { task: 'charge', args: { orderId: 7 }, key: 'c', when: oneMinuteLater, addedAt: NOW },
      { task: 'sweep', args: {} },
      { task: 'other', args: { n: 1 }, key: second!.key, when: NOW },
    ]);
  });

  test('keeps a key taken until it is cancelled or replaced', async () => {
    const docket = recordingDocket();
    await docket.add(charge, { orderId: 1 }, { key: 'c' });
    const again = await docket.add(charge, { orderId: 2 }, { key: 'c' });
    expect([again.disposition, again.state]).toEqual(['already_scheduled', 'queued']);
    assertTaskAdded(docket, charge, { args: { orderId: 1 }, times: 1 });
    await docket.replace(charge, { orderId: 3 }, { key: 'c' });
    expect(docket.added.map(({ args }) => args)).toEqual([{ orderId: 3 }]);
    expect(await docket.cancel('c')).toEqual({ state: 'queued', outcome: 'removed' });
    expect(await docket.cancel('c')).toEqual({ state: null, outcome: 'unknown' });
    expect([docket.added, docket.cancelled]).toEqual([[], ['c']]);
  });

  test('refuses what a docket refuses', async () => {
    const docket = recordingDocket({ tasks: collection(charge) });
    await expect(docket.add(charge, { orderId: 'x' } as never)).rejects.toThrow(InvalidArgumentsError);
    await expect(docket.add('unknown' as never, {} as never)).rejects.toThrow(TaskNotFoundError);
    await expect(docket.add(charge, { orderId: 1 }, { whn: 1 } as never)).rejects.toThrow('whn');
    await expect(docket.addMany([{ task: 'charge', args: {}, opts: {} } as never])).rejects.toThrow('opts');
    expect(docket.added).toEqual([]);
  });

  test.each([7, null, new Date(Number.NaN)])('refuses %s as its time', (now) => {
    expect(() => recordingDocket({ now: now as never })).toThrow('now: expected a valid Date');
  });

  test('says what only a server could answer', async () => {
    const docket = recordingDocket();
    const execution = await docket.add(sweep);
    for (const asked of [docket.snapshot(), docket.redis, execution.result(), docket.strike('x')]) {
      await expect(asked).rejects.toThrow(NoServerError);
    }
    expect(() => docket.list()).toThrow('list() needs a server');
  });

  test('is a docket for an agenda', async () => {
    const docket = recordingDocket({ now: NOW });
    await new Agenda().add(sweep).add(sweep).scatter(docket, { over: '1h' });
    expect(docket.added.map(({ when }) => when.getTime() - NOW.getTime())).toEqual([0, 3_600_000]);
  });
});

describe('an assertion', () => {
  test('returns what matches by some of the arguments, key and delay', async () => {
    const docket = recordingDocket();
    await docket.add(charge, { orderId: 1, at: NOW }, { key: 'a', when: '10m' });
    await docket.add(charge, { orderId: 2 }, { key: 'b' });
    const found = assertTaskAdded(docket, charge, { args: { at: new Date(NOW) }, key: 'a', when: '10m' });
    expect(found.map(({ args }) => args.orderId)).toEqual([1]);
    assertTaskAdded(docket, 'charge', { times: 2 });
    assertNoTaskAdded(docket, sweep);
    assertNoTaskAdded(docket, charge, { args: { orderId: 3 } });
  });

  test('fails with what differs, side by side', async () => {
    const docket = recordingDocket({ now: NOW });
    await docket.add(charge, { orderId: 1, at: NOW }, { key: 'a' });
    const error = failureOf(() => assertTaskAdded(docket, charge, { args: { orderId: 2 }, key: 'b', when: '1m' }));
    expect(error).toBeInstanceOf(AssertionError);
    expect(error.actual).toEqual({ args: { orderId: 1 }, key: 'a', when: NOW });
    expect(error.expected).toEqual({ args: { orderId: 2 }, key: 'b', when: new Date(NOW.getTime() + 60_000) });
    expect(error.message).toContain("Expected task 'charge' to have been added with { args: { orderId: 2 }");
    expect(error.message).toContain("{ task: 'charge', args: { orderId: 1, at: 2027-01-01T00:00:00.000Z }, key: 'a'");
  });

  test('fails with the number that was found', async () => {
    const docket = recordingDocket();
    await docket.add(sweep);
    expect(failureOf(() => assertTaskAdded(docket, sweep, { times: 2 }))).toMatchObject({ actual: 1, expected: 2 });
    expect(failureOf(() => assertNoTaskAdded(docket))).toMatchObject({ actual: 1, expected: 0 });
    expect(failureOf(() => assertTaskAdded(docket, charge)).message).toContain('There is no execution of it.');
  });

  test('says that none was expected', async () => {
    const docket = recordingDocket();
    await docket.add(sweep);
    expect(failureOf(() => assertNoTaskAdded(docket, sweep)).message).toContain(
      "Expected task 'sweep' never to have been added, found 1\n",
    );
  });

  test('refuses an expectation that does not exist', () => {
    expect(() => assertTaskAdded(recordingDocket(), sweep, { argz: {} } as never)).toThrow('argz');
  });

  test.each([
    [{ args: null }, 'expected.args: expected one object'],
    [{ args: [1] }, 'expected.args: expected one object'],
    [{ key: 7 }, 'expected.key: expected text, got 7'],
    [{ when: new Date(Number.NaN) }, 'expected.when: expected a valid date'],
    [{ when: 'soon' }, 'expected.when: expected a duration'],
  ])('refuses %j, which nothing could meet, also where nothing must be found', (expected, problem) => {
    const docket = recordingDocket();
    expect(() => assertTaskAdded(docket, sweep, expected as never)).toThrow(problem);
    expect(() => assertNoTaskAdded(docket, sweep, expected as never)).toThrow(problem);
  });

  test.each([
    [undefined, 'got undefined'],
    [7, 'got 7'],
    [{ schedules: () => [] }, 'got a docket: pass the test docket itself'],
  ])('refuses %s, of which it could find out nothing', async (from, found) => {
    expect(() => assertTaskAdded(from as never, sweep)).toThrow(
      `from: expected a recording docket, a run of runTask()`,
    );
    expect(() => assertNoTaskAdded(from as never, sweep)).toThrow(found);
    await expect(assertTaskCompleted(from as never, sweep)).rejects.toThrow(found);
    await expect(assertTaskFailed(recordingDocket() as never, sweep)).rejects.toThrow('expected a test docket');
  });
});

function failureOf(assertion: () => unknown): AssertionError {
  try {
    assertion();
  } catch (error) {
    return error as AssertionError;
  }
  throw new Error('it did not fail');
}
