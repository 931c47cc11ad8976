import { describe, expect, test } from 'vitest';
import { bytes, cycle, echo } from '../fixtures/tasks/values.js';
import { setStage } from '../support/stage.js';
import { describeEachServer } from '../support/suites.js';

const VALUES = new URL('../fixtures/tasks/values.js', import.meta.url);

const kept: Record<string, unknown> = {
  null: null,
  text: 'naïve 鍵 🔑 \u0000 \n',
  'empty text': '',
  'long text': 'x'.repeat(70_000),
  numbers: [0, -0, 1, -1, 1.5, 2 ** 31, 2 ** 53 - 1, -(2 ** 53), 1e300, Number.NaN, Number.NEGATIVE_INFINITY],
  bigints: [0n, -1n, 2n ** 63n, 2n ** 64n, -(2n ** 100n)],
  dates: [new Date(0), new Date('2026-10-25T01:30:00.123Z'), new Date(Number.NaN)],
  'a map of dates': new Map<unknown, unknown>([
    ['started', new Date('2026-01-01')],
    [{ id: 7 }, new Map([[1n, new Set([new Date(1)])]])],
  ]),
  'a set': new Set([1, '1', null, undefined]),
  'a pattern': /a(?<b>b)+/giu,
  'typed arrays': [new Uint8Array([0, 255]), new Float64Array([Math.PI]), new BigInt64Array([-1n])],
  'an array buffer': new Uint8Array([1, 2, 3]).buffer,
  'an error with its cause': new TypeError('outer', { cause: new Error('inner') }),
  nested: { a: [{ b: { c: [[], {}, [null, undefined]] } }], 'a key with ünicode': true },
  'an object with undefined': { a: undefined, b: 1 },
};

describeEachServer('values', (url) => {
  const stage = setStage(url);

  describe.each([0, 1])('with threads: %i', (threads) => {
    test('of every kind go as arguments and come back as results unchanged', async () => {
      const docket = stage.docket();
      const names = Object.keys(kept);
      const executions = await Promise.all(names.map((name) => docket.add(echo, { value: kept[name] })));
      await stage.finish(VALUES, { threads });
      for (const [i, name] of names.entries()) {
        expect(await executions[i]!.result(), name).toStrictEqual(kept[name]);
      }
    });

    test('keep undefined, null and an empty object apart', async () => {
      const docket = stage.docket();
      const executions = await Promise.all(
        [{}, { value: undefined }, { value: null }, { value: {} }].map((args) => docket.add(echo, args)),
      );
      await stage.finish(VALUES, { threads });
      const results = await Promise.all(executions.map((execution) => execution.result()));
      expect(results).toEqual([undefined, undefined, null, {}]);
    });

    test('keep their cycles and shared parts', async () => {
      const shared = { name: 'shared' };
      const args: { value: { shared: unknown[]; self?: unknown } } = { value: { shared: [shared, shared] } };
      args.value.self = args.value;
      const docket = stage.docket();
      const [echoed, ring] = [await docket.add(echo, args), await docket.add(cycle, { size: 3 })];
      await stage.finish(VALUES, { threads });
      const value = (await echoed.result()) as typeof args.value;
      expect(value.self).toBe(value);
      expect(value.shared[0]).toBe(value.shared[1]);
      const result = await ring.result();
      expect(result.nodes.map((node) => node.ring === result)).toEqual([true, true, true]);
    });

    test('may be a large Buffer, in both directions', async () => {
      const docket = stage.docket();
      const expected = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 251));
      const executions = [await docket.add(echo, { value: expected }), await docket.add(bytes, { length: 100_000 })];
      await stage.finish(VALUES, { threads });
      for (const execution of executions) {
        const value = await execution.result();
        expect(Buffer.isBuffer(value)).toBe(true);
        expect(expected.equals(value as Buffer)).toBe(true);
      }
    });

    test('come back each to its own execution', async () => {
      const docket = stage.docket();
      const executions = await Promise.all(
        Array.from({ length: 300 }, (_, i) => docket.add(echo, { value: i % 3 ? 'x'.repeat(i) : undefined })),
      );
      await stage.finish(VALUES, { threads, concurrency: 8 });
      const results = await Promise.all(executions.map((execution) => execution.result()));
      expect(results).toEqual(executions.map((_, i) => (i % 3 ? 'x'.repeat(i) : undefined)));
    });
  });

  test('may be changed by the caller once add was called', async () => {
    const args = { value: ['before'] };
    const adding = stage.docket().add(echo, args);
    args.value.push('after');
    const execution = await adding;
    await stage.finish(VALUES);
    expect(await execution.result()).toEqual(['before']);
  });

  test('are copied for each reader of a result', async () => {
    const execution = await stage.docket().add(echo, { value: { list: [1] } });
    await stage.finish(VALUES);
    const [first, second] = (await Promise.all([execution.result(), execution.result()])) as { list: number[] }[];
    first!.list.push(2);
    expect(second).toEqual({ list: [1] });
  });
});
