import { Agenda, collection, TaskNotFoundError, task } from 'docket';
import { expect, test } from 'vitest';
import { setStage } from '../support/stage.js';
import { describeEachServer } from '../support/suites.js';

const note = task('note', (_args: { n: number }) => {});
const tasks = collection(note);

describeEachServer('an agenda', (url) => {
  const stage = setStage(url);

  test('is scheduled on a docket, with keys and without', async () => {
    const docket = stage.docket({ tasks });
    const agenda = new Agenda<typeof tasks>()
      .add(note, { n: 1 })
      .add('note', { n: 2 }, { key: 'k' })
      .add(note, { n: 3 });
    const start = new Date(Date.now() + 60_000);
    const executions = await agenda.scatter(docket, { over: '10s', start });
    expect(executions.map(({ when }) => when.getTime() - start.getTime())).toEqual([0, 5_000, 10_000]);
    expect(executions.map(({ state, args }) => [state, args])).toEqual([
      ['scheduled', { n: 1 }],
      ['scheduled', { n: 2 }],
      ['scheduled', { n: 3 }],
    ]);
    expect(executions[1]!.key).toBe('k');
    const again = await agenda.scatter(docket, { over: '10s', start });
    expect(again.map(({ disposition }) => disposition)).toEqual(['scheduled', 'already_scheduled', 'scheduled']);
    expect(await docket.clear()).toBe(5);
  });

  test('with an unknown name schedules nothing', async () => {
    const docket = stage.docket({ tasks });
    const agenda = new Agenda<Record<string, typeof note>>().add('note', { n: 1 }).add('nota', { n: 2 });
    await expect(agenda.scatter(docket, { over: '10s' })).rejects.toThrow(TaskNotFoundError);
    expect(await stage.keys()).toEqual([]);
  });

  test('is run to its end, from within a task as well', async () => {
    const docket = stage.docket();
    const ran: number[] = [];
    const leaf = task('leaf', ({ n }: { n: number }) => void ran.push(n));
    const root = task('root', async (_args: {}, ctx) => {
      const agenda = new Agenda();
      for (let n = 0; n < 10; n++) agenda.add(leaf, { n });
      await agenda.scatter(ctx.docket, { over: '100ms', jitter: '5ms' });
    });
    await docket.add(root);
    await stage.finish({ root, leaf });
    expect(ran.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});
