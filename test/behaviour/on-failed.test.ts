/** Modules are told of each execution that has failed for good on their worker. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { collect } from '../support/collect.js';
import { type Fleet, fixture, openFleet, type Running } from '../support/fleet.js';
import { describeEachMode, describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const MODULE = fixture('failing.js');

async function start(url: string, options = {}): Promise<{ fleet: Fleet; running: Running; file: string }> {
  const fleet = await openFleet(url);
  const running = await fleet.worker({ tasks: MODULE, ...options });
  return { fleet, running, file: fleet.probe.file };
}

function notesIn(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(0, -1);
  } catch {
    return [];
  }
}

describeEachMode('onFailed', (url, threads) => {
  test('is called once, after the last attempt, with the arguments and the error', async () => {
    const { fleet, file } = await start(url(), { threads });
    const args = { hook: 'tell', file, amount: 9 };
    await expect((await fleet.docket.add('decline', args, { key: 'c' })).result()).rejects.toThrow('9 was declined');
    await (await fleet.docket.add('decline', { ...args, worksIn: 2 })).result();
    await waitFor(() => notesIn(file).length > 0);
    const last = await fleet.docket.add('decline', { ...args, amount: 10 }, { key: 'last' });
    await expect(last.result()).rejects.toThrow();
    await waitFor(() => notesIn(file).length > 1);
    expect(notesIn(file)).toEqual(['decline c 2 Declined 9', 'decline last 2 Declined 10']);
  });

  test('is called once the end is written, and may add work to compensate', async () => {
    const { fleet, file } = await start(url(), { threads });
    await fleet.docket.add('decline', { hook: 'look', file, amount: 1 }, { key: 'c' });
    await waitFor(() => notesIn(file).includes('failed'));
    await fleet.docket.add('decline', { hook: 'compensate', file, amount: 2 });
    await waitFor(() => notesIn(file).includes('refunded 2'));
    expect(notesIn(file)).toEqual(['failed', 'refunded 2']);
  });

  test('that throws, or takes longer than the timeout of the task, is logged, and the worker goes on', async () => {
    const { fleet, running, file } = await start(url(), { threads });
    await fleet.docket.add('decline', { hook: 'throw', file, amount: 1 }, { key: 'thrown' });
    const thrown = await waitFor(() => running.lines.find(({ fields }) => /from the hook/.test(String(fields.error))));
    expect(thrown).toMatchObject({ level: 'error', fields: { task: 'decline', key: 'thrown', attempt: 2 } });
    await fleet.docket.add('brief', { hook: 'hang', file, amount: 1 }, { key: 'hung' });
    const hung = await waitFor(() => running.lines.find(({ fields }) => /onFailed took/.test(String(fields.error))));
    expect(hung!.fields).toMatchObject({ key: 'hung', error: 'TimeoutError: onFailed took longer than 100 ms' });
    expect(notesIn(file)).toEqual(['aborted TimeoutError']);
    await fleet.docket.add('decline', { hook: 'look', file, amount: 1 }, { key: 'c' });
    await waitFor(() => notesIn(file).includes('failed'));
  });

  test('is called without a record, and while no failures are kept', async () => {
    const { fleet, file } = await start(url(), { threads, failureTtl: 0 });
    const lean = fleet.with({ executionTtl: 0 });
    const { key } = await lean.add('decline', { hook: 'tell', file, amount: 4 });
    await waitFor(() => notesIn(file).length > 0);
    expect(notesIn(file)).toEqual([`decline ${key} 2 Declined 4`]);
    expect(await collect(lean.failures())).toEqual([]);
  });

  test('ends before the worker does', async () => {
    const { fleet, running, file } = await start(url(), { threads });
    await fleet.docket.add('decline', { hook: 'wait', file, amount: 4 });
    await waitFor(() => notesIn(file).includes('hook begins'));
    const stopped = running.stop();
    await waitFor(() => running.lines.some(({ message }) => message.includes('is draining')));
    writeFileSync(`${file}.released`, '');
    await stopped;
    expect(notesIn(file)).toEqual(['hook begins', 'hook ends']);
  });
});

describeOnRedis('onFailed', (url) => {
  test('that holds its thread keeps no execution from another thread, or from another worker', async () => {
    const { fleet, file } = await start(url(), { threads: 2, drainTimeout: '1s', abortGrace: '100ms' });
    await fleet.docket.add('decline', { hook: 'hold', file, amount: 1 });
    await waitFor(() => notesIn(file).includes('hook holds the thread'));
    for (const amount of [1, 2, 3]) await (await fleet.docket.add('refund', { file, amount })).result();
    await fleet.docket.add('decline', { hook: 'hold', file, amount: 2 });
    await waitFor(() => notesIn(file).filter((note) => note === 'hook holds the thread').length === 2);
    const left = await Promise.all([4, 5].map((amount) => fleet.docket.add('refund', { file, amount })));
    await fleet.worker({ tasks: MODULE });
    for (const execution of left) await execution.result();
    writeFileSync(`${file}.released`, '');
    for (const amount of [6, 7, 8]) await (await fleet.docket.add('refund', { file, amount })).result();
    const refunded = notesIn(file).filter((note) => note.startsWith('refunded'));
    expect(refunded.toSorted()).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((amount) => `refunded ${amount}`));
  });

  test('is called by another thread for what has ended its own', async () => {
    const { fleet, file } = await start(url(), { threads: 1, maxDeliveries: 1, abortGrace: '100ms' });
    await fleet.docket.add('spin', { hook: 'tell', file }, { key: 'spins' });
    await waitFor(() => notesIn(file).length > 0);
    await fleet.docket.add('quit', { hook: 'tell', file }, { key: 'quits' });
    await waitFor(() => notesIn(file).length > 1);
    expect(notesIn(file)).toEqual(['spin spins 1 TimeoutError ', 'quit quits 1 PoisonedError ']);
    const failures = await collect(fleet.docket.failures());
    expect(failures).toMatchObject([
      { key: 'quits', errorName: 'PoisonedError', thread: null, startedAt: expect.any(Date) },
      { key: 'spins', errorName: 'TimeoutError', thread: null, startedAt: expect.any(Date) },
    ]);
  });
});
