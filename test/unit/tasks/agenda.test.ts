import { Agenda, type Call, type Execution, InvalidOptionError, task } from 'docket';
import { describe, expect, test } from 'vitest';

const note = task('note', (_args: { n?: number }) => {});

/** A docket that records what an agenda sends. */
function recorder() {
  const batches: Call<unknown>[][] = [];
  return {
    batches,
    addMany: async <C>(calls: Iterable<C>) => {
      batches.push([...calls] as Call<unknown>[]);
      return batches.at(-1)!.map(({ args }) => args) as unknown as Execution<never>[];
    },
  };
}

function agendaOf(count: number): Agenda {
  const agenda = new Agenda();
  for (let n = 0; n < count; n++) agenda.add(note, { n });
  return agenda;
}

/** The due time of each call in milliseconds: from now, or of the date. */
function times(calls: readonly Call<unknown>[]): number[] {
  return calls.map(({ options }) => Number(options!.when));
}

describe('an agenda', () => {
  test('is spread evenly from the start to the end, both included, in one batch and in order', async () => {
    const docket = recorder();
    const returned = await agendaOf(5).scatter(docket, { over: '40s' });
    expect(docket.batches).toHaveLength(1);
    expect(docket.batches[0]!.map(({ args }) => args)).toEqual([{ n: 0 }, { n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }]);
    expect(times(docket.batches[0]!)).toEqual([0, 10_000, 20_000, 30_000, 40_000]);
    expect(returned).toEqual([{ n: 0 }, { n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }]);
  });

  test('schedules a single execution in the middle', async () => {
    const docket = recorder();
    await agendaOf(1).scatter(docket, { over: '1m', start: 1_000 });
    expect(times(docket.batches[0]!)).toEqual([31_000]);
  });

  test('starts at a date, or after a duration', async () => {
    const docket = recorder();
    await agendaOf(2).scatter(docket, { over: 500, start: new Date(1_000_000) });
    expect(docket.batches[0]!.map(({ options }) => options!.when)).toEqual([new Date(1_000_000), new Date(1_000_500)]);
    await agendaOf(2).scatter(docket, { over: 500, start: '10s' });
    expect(times(docket.batches[1]!)).toEqual([10_000, 10_500]);
  });

  test('moves each time by no more than its jitter, never before the start, and never out of order', async () => {
    const docket = recorder();
    const count = 2_000;
    await agendaOf(count).scatter(docket, { over: '100s', start: '1s', jitter: '5s' });
    const offsets = times(docket.batches[0]!).map((time, i) => time - 1_000 - (100_000 * i) / (count - 1));
    const moved = offsets.slice(200); // the first ones are cut off at the start
    expect(Math.max(...moved.map(Math.abs))).toBeLessThanOrEqual(5_001);
    expect(new Set(moved.map((offset) => Math.sign(offset)))).toEqual(new Set([-1, 1]));
    expect(Math.min(...times(docket.batches[0]!))).toBeGreaterThanOrEqual(1_000);
    expect(times(docket.batches[0]!)).toEqual(times(docket.batches[0]!).sort((a, b) => a - b));
  });

  test('spreads its jitter uniformly', async () => {
    const docket = recorder();
    const offsets: number[] = [];
    for (let i = 0; i < 2_000; i++) await agendaOf(1).scatter(docket, { over: 2_000, jitter: 1_000 });
    for (const batch of docket.batches) offsets.push(...times(batch));
    const quarters = [0, 500, 1_000, 1_500].map((from) => offsets.filter((at) => at >= from && at < from + 500).length);
    for (const quarter of quarters) expect(quarter).toBeGreaterThan(400); // 500 expected, 5 standard deviations
  });

  test('can be scattered again, with more executions added in between', async () => {
    const docket = recorder();
    const agenda = agendaOf(2);
    await agenda.scatter(docket, { over: 100 });
    agenda.add(note, { n: 2 }, { key: 'last' });
    expect(agenda).toHaveLength(3);
    await agenda.scatter(docket, { over: 100 });
    expect(docket.batches.map(times)).toEqual([
      [0, 100],
      [0, 50, 100],
    ]);
    expect(docket.batches[1]!.at(-1)).toMatchObject({ options: { key: 'last' } });
  });

  test('schedules nothing when it is empty', async () => {
    const docket = recorder();
    expect(await new Agenda().scatter(docket, { over: 1 })).toEqual([]);
    expect(docket.batches).toEqual([]);
  });

  test.each([0, -1, '0s', '0.0001ms'] as const)('refuses to be spread over %s', async (over) => {
    const docket = recorder();
    await expect(agendaOf(2).scatter(docket, { over })).rejects.toThrow(RangeError);
    await expect(new Agenda().scatter(docket, { over })).rejects.toThrow(RangeError);
    expect(docket.batches).toEqual([]);
  });

  test.each([
    { over: Number.NaN },
    { over: 'soon' },
    { over: 1, start: new Date(Number.NaN) },
    { over: 1, start: -1 },
    { over: 1, jitter: -1 },
  ])('refuses options that are not times (%o)', async (options) => {
    const docket = recorder();
    await expect(agendaOf(2).scatter(docket, options as { over: number })).rejects.toThrow(InvalidOptionError);
    expect(docket.batches).toEqual([]);
  });
});
