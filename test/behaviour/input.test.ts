/** Arguments that must match a schema: by whom they are checked, and what follows when they do not. */
import { type AnyTask, call, type Docket, InvalidArgumentsError } from 'docket';
import { describe, expect, test } from 'vitest';
import { book, odd, order, pay, signUp, tasks } from '../fixtures/worker/input.js';
import { left } from '../support/chains.js';
import { type Fleet, fixture, openFleet } from '../support/fleet.js';
import { takeNotes } from '../support/notes.js';
import { describeEachMode } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const BORN = '1815-12-10';

/** Each task with arguments that match, what its body gets of them, and arguments that do not, with what is said. */
const CASES = [
  {
    task: signUp,
    good: { email: 'ada@example.com', born: BORN },
    received: { email: 'ada@example.com', born: new Date(BORN), tags: ['new'] },
    bad: { email: 'ada', born: BORN, tags: ['x', 3] },
    issues: [
      ['email', /email/],
      ['tags[1]', /string/],
    ],
  },
  {
    task: order,
    good: { lines: [{ sku: 'a', count: 2 }] },
    received: { lines: [{ sku: 'a', count: 2 }] },
    bad: {
      lines: [
        { sku: 'a', count: 2 },
        { sku: 'b', count: 0 },
      ],
    },
    issues: [['lines[1].count', /1/]],
  },
  {
    task: pay,
    good: { amount: 5 },
    received: { amount: 5, currency: 'EUR' },
    bad: { amount: -1 },
    issues: [['amount', /positive|more than 0/]],
  },
  {
    task: book,
    good: { room: 'free' },
    received: { room: 'free' },
    bad: { room: 'taken' },
    issues: [['room', /is taken/]],
  },
  { task: odd, good: { good: true }, received: { good: true }, bad: {}, issues: [['', /not good/]] },
] as const;

/** The tasks are typed; what is wrong on purpose is not. */
const untyped = (task: unknown) => task as (typeof CASES)[number]['task'] & AnyTask & { name: string };
type Adds = { add(task: unknown, args: object, options?: object): ReturnType<Docket['add']> };

async function expectNothingWritten({ redis, name }: Fleet): Promise<void> {
  expect(await redis.keys(`{${name}}:*`)).toEqual([]);
}

function expectIssues(error: unknown, { task, issues }: (typeof CASES)[number]): void {
  expect(error).toBeInstanceOf(InvalidArgumentsError);
  const { code, task: named, issues: found } = error as InvalidArgumentsError;
  expect([code, named]).toEqual(['DOCKET_INVALID_ARGUMENTS', task.name]);
  expect(found.map(({ path }) => path)).toEqual(issues.map(([path]) => path));
  issues.forEach(([, message], i) => void expect(found[i]!.message).toMatch(message));
}

describeEachMode('arguments that must match a schema', (url, threads) => {
  describe.each(CASES)('of $task.name', (one) => {
    test.each([{ executionTtl: '15m' }, { executionTtl: 0 }] as const)(
      'are refused before anything is written (executionTtl $executionTtl)',
      async (options) => {
        const fleet = await openFleet(url(), options);
        const named = fleet.with({ tasks: tasks as never }) as unknown as Adds;
        const docket = fleet.docket as unknown as Adds & Docket;
        const adds: (() => Promise<unknown>)[] = [
          () => docket.add(one.task, one.bad),
          () => docket.add(one.task, one.bad, { key: 'k', when: '1h' }),
          () => docket.replace(untyped(one.task), one.bad as never, { key: 'k' }),
          () => named.add(one.task.name, one.bad),
          () => docket.addMany([call(untyped(one.task), one.good as never), call(untyped(one.task), one.bad as never)]),
        ];
        for (const add of adds) expectIssues(await add().catch((error: unknown) => error), one);
        await expectNothingWritten(fleet);
      },
    );
  });

  test('reach the body as the schema parses them, and are kept as they were given', async () => {
    const fleet = await openFleet(url());
    const notes = takeNotes();
    const docket = fleet.docket as unknown as Adds & Docket;
    const added = CASES.map(async ({ task, good }) => {
      const args = { file: notes.file, ...good };
      const one = await docket.add(task, args, { key: task.name });
      expect((await fleet.docket.getExecution(task.name))?.args).toEqual(args);
      const [other] = await docket.addMany([call(untyped(task), args as never)]);
      return [one, other!];
    });
    const executions = await Promise.all(added);
    await fleet.worker({ tasks: fixture('input.js'), threads });
    for (const [i, pair] of executions.entries()) {
      for (const execution of pair) expect(await execution.result()).toEqual(CASES[i]!.received);
    }
    expect(notes.of('body').sort()).toEqual(executions.flatMap((pair) => pair.map(({ key }) => key)).sort());
  });

  test('are checked again by the worker, which neither runs the body nor tries again', async () => {
    const fleet = await openFleet(url());
    const notes = takeNotes();
    const { lines } = await fleet.worker({ tasks: fixture('input.js'), threads });
    const lean = fleet.with({ executionTtl: 0 });
    const added = CASES.map(async ({ task, bad }) => {
      const args = { file: notes.file, ...bad };
      await lean.add(task.name, args); // by a producer that has no schema, like the next
      return await fleet.docket.add(task.name, args);
    });
    for (const [i, execution] of (await Promise.all(added)).entries()) {
      expectIssues(await execution.result().catch((error) => error), CASES[i]!);
      await execution.sync();
      expect(execution).toMatchObject({ state: 'failed', attempt: 1 });
      expect(execution.error).toMatch(/^InvalidArgumentsError: /);
    }
    await waitFor(() => lines.filter(({ message }) => message.includes('failed: InvalidArgumentsError')).length === 10);
    await waitFor(async () => (await left(fleet)) === 0);
    expect(notes.all()).toEqual([]);
    expect(lines.filter(({ message }) => message.includes('is retried'))).toEqual([]);
  });
});
