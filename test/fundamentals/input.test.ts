/** Chapter 11: arguments that are checked. */
import { call, Docket, InvalidArgumentsError } from 'docket';
import { expect, test } from 'vitest';
import { register, tasks } from '../fixtures/tasks/tutorial.js';
import { describeTutorial } from '../support/tutorial.js';

describeTutorial('checked arguments:', (tutorial) => {
  test('arguments that do not match are refused before anything is written, with all that is wrong', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const adding = docket.add(register, { email: 'ada', born: 'some day' }, { key: 'ada' });

    await expect(adding).rejects.toThrow(InvalidArgumentsError);
    await expect(adding).rejects.toMatchObject({ issues: [{ path: 'email' }, { path: 'born' }] });
    expect(await docket.getExecution('ada')).toBeNull();
  });

  test('the body gets them as the schema parses them', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const execution = await docket.add(register, { email: 'ada@example.com', born: '1815-12-10' });

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    expect(await execution.result()).toBe('ada@example.com, born in 1815, newsletter: false');
  });

  test('a batch is refused as a whole', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const good = call(register, { email: 'ada@example.com', born: '1815-12-10' }, { key: 'ada' });
    const bad = call(register, { email: 'grace', born: '1906-12-09' }, { key: 'grace' });

    await expect(docket.addMany([good, bad])).rejects.toThrow(InvalidArgumentsError);
    expect(await docket.getExecution('ada')).toBeNull();
  });

  test('a producer with the collection checks names, too', async () => {
    await using docket = new Docket({ ...tutorial.docketOptions, tasks });
    await expect(docket.add('register', { email: 'ada', born: '1815-12-10' })).rejects.toThrow(InvalidArgumentsError);
    // @ts-expect-error the compiler knows the names
    await expect(docket.add('regist', {})).rejects.toThrow("no task is named 'regist'");
  });

  test('the worker checks again, and fails what comes from a producer without the schema, for good', async () => {
    await using docket = new Docket<typeof tasks>(tutorial.docketOptions);
    const execution = await docket.add('register', { email: 'ada', born: '1815-12-10' });

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    await expect(execution.result()).rejects.toThrow(InvalidArgumentsError);
  });
});
