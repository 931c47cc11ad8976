import { call, type Execution, retry, task } from 'docket';
import { describe, expect, test } from 'vitest';
import { stopRenewals } from '../support/renewals.js';
import { setStage } from '../support/stage.js';
import { describeEachServer } from '../support/suites.js';
import { type Deferred, deferred, waitFor } from '../support/wait.js';

const STRANGE_KEYS = [
  `it's "quoted" \`thrice\` \\ and 100 %`,
  'line one\nline two\r\n\ttabbed',
  'control \u0000\u0001\u001b\u007f bytes',
  'ключ 鍵 🔑 é e\u0301',
  '}{docket}:run:{x}:',
  ' ',
  '*',
  '__proto__',
  'x'.repeat(512),
];
const INFRASTRUCTURE = [
  'work',
  'front',
  'high',
  'low',
  'schedule',
  'generation',
  'workers',
  'listeners',
  'events:k',
  'run:k',
  'wake',
];

describeEachServer('keys:', (url) => {
  const stage = setStage(url);

  /** A task that ends when it is told to. */
  function holding() {
    const started = deferred();
    const ending: Deferred<string> = deferred();
    ending.promise.catch(() => {}); // nobody may be running it yet
    const hold = task('hold', async () => {
      started.resolve();
      return await ending.promise;
    });
    return { hold, started: started.promise, ending };
  }

  test.each(['scheduled', 'queued', 'running'] as const)(
    'while an execution is %s, its key is taken',
    async (state) => {
      const { hold, started, ending } = holding();
      const docket = stage.docket();
      const first = await docket.add(hold, {}, { key: 'k', when: state === 'scheduled' ? '1h' : 0 });
      if (state === 'running') {
        stage.work({ hold });
        await started;
      }
      const second = await docket.add(hold, {}, { key: 'k', when: '2h' });
      expect(second).toMatchObject({ disposition: 'already_scheduled', state, when: (await synced(first)).when });
      expect(await (await stage.redis()).zcard(stage.key('schedule'))).toBe(state === 'scheduled' ? 1 : 0);
      ending.resolve('done');
    },
  );

  test.each(['completed', 'failed'] as const)('when an execution has %s, its key is free', async (state) => {
    const { hold, ending } = holding();
    const docket = stage.docket();
    const first = await docket.add(hold, {}, { key: 'k' });
    if (state === 'completed') ending.resolve('done');
    else ending.reject(new Error('broken'));
    await stage.finish({ hold });
    expect((await synced(first)).state).toBe(state);
    const second = await docket.add(hold, {}, { key: 'k' });
    expect(second.disposition).toBe('scheduled');
    await stage.finish({ hold });
    expect((await synced(second)).state).toBe(state);
  });

  test.each(['completed', 'failed', 'cancelled'] as const)(
    'when an execution has %s, its key stays taken for adds with once, until its record is gone',
    async (state) => {
      const { hold, ending } = holding();
      const docket = stage.docket();
      const first = await docket.add(hold, {}, { key: 'k', once: true });
      expect(first.disposition).toBe('scheduled');
      if (state === 'completed') ending.resolve('done');
      else ending.reject(new Error('broken'));
      if (state === 'cancelled') await first.cancel();
      await stage.finish({ hold });
      const calls = [call(hold, {}, { key: 'k', once: true }), call(hold, {}, { key: 'other', once: true })];
      const [second, other] = await docket.addMany([...calls, ...calls]);
      expect(second).toMatchObject({ disposition: 'already_scheduled', state });
      expect(other!.disposition).toBe('scheduled');
      expect(await (await stage.redis()).xlen(stage.key('work'))).toBe(1);
      await (await stage.redis()).del(stage.key('run:k')); // its executionTtl has passed
      const third = await docket.add(hold, {}, { key: 'k', once: true });
      expect(third.disposition).toBe('scheduled');
      await stage.finish({ hold });
    },
  );

  test('while an execution waits for its next attempt, its key is taken', async () => {
    const docket = stage.docket();
    const flaky = task('flaky', { retry: retry({ delay: '1h' }) }, () => {
      throw new Error('not yet');
    });
    const first = await docket.add(flaky, {}, { key: 'k' });
    stage.work({ flaky });
    await waitFor(async () => (await synced(first)).state === 'scheduled');
    const second = await docket.add(flaky, {}, { key: 'k' });
    expect(second).toMatchObject({
      disposition: 'already_scheduled',
      state: 'scheduled',
      attempt: 2,
      when: first.when,
    });
  });

  test('a second add returns a handle of the first execution', async () => {
    const { hold, started, ending } = holding();
    const docket = stage.docket();
    await docket.add(hold, {}, { key: 'k' });
    stage.work({ hold });
    await started;
    const second = await docket.add(hold, {}, { key: 'k' });
    const result = second.result();
    ending.resolve('of the first');
    expect(await result).toBe('of the first');
  });

  describe('a key that is used again:', () => {
    /** Leaves a finished execution under `k`, with all that a record can hold. */
    async function leaveFinished(how: 'completed' | 'failed'): Promise<void> {
      const finished = task('finished', () => {
        if (how === 'failed') throw new Error('of the old one');
        return 'of the old one';
      });
      await stage.docket().add(finished, {}, { key: 'k' });
      await stage.finish({ finished });
      const record = await stage.record('k');
      expect(Object.keys(record)).toEqual(expect.arrayContaining(['k', 'b', 'c', how === 'failed' ? 'x' : 'r']));
      expect(await ttl()).toBeGreaterThan(0);
    }

    async function ttl(): Promise<number> {
      return await (await stage.redis()).pttl(stage.key('run:k'));
    }

    test.each([
      ['completed', 'queued'],
      ['failed', 'queued'],
      ['completed', 'scheduled'],
      ['failed', 'scheduled'],
    ] as const)('after an execution that %s, nothing of it is kept while the next is %s', async (how, state) => {
      await leaveFinished(how);
      const { hold } = holding();
      await stage.docket().add(hold, {}, { key: 'k', when: state === 'scheduled' ? '1h' : 0 });
      const found = await stage.docket().getExecution('k');
      expect(found).toMatchObject({ task: 'hold', state, attempt: 1, worker: null, error: null });
      expect(found).toMatchObject({ startedAt: null, completedAt: null });
      expect(await ttl()).toBe(-1);
    });

    test.each(['completed', 'failed'] as const)(
      'after an execution that %s, nothing of it is kept while the next runs',
      async (how) => {
        await leaveFinished(how);
        const { hold, started, ending } = holding();
        const docket = stage.docket();
        const second = await docket.add(hold, {}, { key: 'k' });
        stage.work({ hold }, { name: 'another worker' });
        await started;
        await second.sync();
        expect(second).toMatchObject({ state: 'running', worker: 'another worker', error: null, completedAt: null });
        expect(await ttl()).toBe(-1);
        ending.resolve('of the new one');
        expect(await second.result()).toBe('of the new one');
        expect(await ttl()).toBeGreaterThan(0);
      },
    );

    test('no result is left to a successor that returns nothing', async () => {
      await leaveFinished('completed');
      const nothing = task('nothing', () => {});
      const second = await stage.docket().add(nothing, {}, { key: 'k' });
      await stage.finish({ nothing });
      expect(await second.result()).toBeUndefined();
    });
  });

  test('an execution has the same key in each of its attempts', async () => {
    const seen: string[] = [];
    const twice = task('twice', { retry: retry({ attempts: 2 }) }, (_args: {}, { key, attempt }) => {
      seen.push(`${key} ${attempt}`);
      if (attempt === 1) throw new Error('again');
    });
    const docket = stage.docket();
    const { key } = await docket.add(twice);
    await stage.finish({ twice });
    expect(seen).toEqual([`${key} 1`, `${key} 2`]);
    expect((await docket.getExecution(key))?.key).toBe(key);
  });

  describe.each([
    ['of unusual text', STRANGE_KEYS],
    ['named like what docket keeps itself', INFRASTRUCTURE],
  ])('keys %s', (_which, keys) => {
    test('take executions through their whole life: now, later, again and waited for', async () => {
      const echoKey = task('echoKey', (_args: {}, ctx) => ctx.key);
      const docket = stage.docket();
      stage.work({ echoKey });
      for (const when of [0, '20ms', 0] as const) {
        const added = await Promise.all(keys.map((key) => docket.add(echoKey, {}, { key, when })));
        expect(added.map((execution) => execution.key)).toEqual(keys);
        expect(await Promise.all(added.map((execution) => execution.result()))).toEqual(keys);
      }
      const found = await Promise.all(keys.map((key) => docket.getExecution(key)));
      expect(found.map((execution) => [execution?.key, execution?.state])).toEqual(
        keys.map((key) => [key, 'completed']),
      );
    });

    test('are distinct', async () => {
      const note = task('note', (_args: { n: number }) => {});
      const docket = stage.docket();
      for (const [n, key] of keys.entries()) await docket.add(note, { n }, { key, when: '1h' });
      const found = await Promise.all(keys.map((key) => docket.getExecution(key)));
      expect(found.map((execution) => execution?.args)).toEqual(keys.map((_, n) => ({ n })));
      expect(await (await stage.redis()).zcard(stage.key('schedule'))).toBe(keys.length);
    });
  });

  test('the end of an execution reaches those who wait by an event, whatever its key', async () => {
    stopRenewals();
    const { hold, started, ending } = holding();
    const docket = stage.docket();
    const execution = await docket.add(hold, {}, { key: STRANGE_KEYS[2]! });
    const result = execution.result();
    await waitFor(async () => (await stage.keys()).includes('listeners'));
    stage.work({ hold });
    await started;
    ending.resolve('heard');
    expect(await result).toBe('heard');
  });
});

async function synced<R>(execution: Execution<R>): Promise<Execution<R>> {
  await execution.sync();
  return execution;
}
