import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { hasBegun, SlotState, SlotTable, StopReason } from '../../../src/channel/slots.js';
import { builtUrl } from '../../support/built.js';

const { free, shipped, started, finished, revoked, completedSilently, skipped } = SlotState;

/** Returns a table of one row in the given state, and the epoch of its shipment. */
function tableIn(state: SlotState) {
  const table = new SlotTable(1);
  if (state === free) return { table, epoch: 1 };
  const epoch = table.ship(0);
  if (state === started || state === finished || state === completedSilently) table.begin(0, epoch, 100);
  if (state === finished) table.end(0, epoch, 150, false);
  if (state === completedSilently) table.end(0, epoch, 150, true);
  if (state === revoked || state === skipped) table.revoke(0, epoch);
  if (state === skipped) table.skip(0, epoch);
  expect(table.state(0)).toBe(state);
  return { table, epoch };
}

const NAMES = Object.entries(SlotState);

describe.each(NAMES)('a row in the state %s', (name, state) => {
  test('begins only when it was shipped', () => {
    const { table, epoch } = tableIn(state);
    expect(table.begin(0, epoch, 1)).toBe(state === shipped);
    expect(table.state(0)).toBe(state === shipped ? started : state);
  });

  test('is revoked only when it was shipped', () => {
    const { table, epoch } = tableIn(state);
    expect(table.revoke(0, epoch)).toBe(state === shipped);
    expect(table.state(0)).toBe(state === shipped ? revoked : state);
  });

  test('is skipped only when it was revoked', () => {
    const { table, epoch } = tableIn(state);
    table.skip(0, epoch);
    expect(table.state(0)).toBe(state === revoked ? skipped : state);
  });

  test('ends only when it was started', () => {
    const { table, epoch } = tableIn(state);
    table.end(0, epoch, 200, false);
    expect(table.state(0)).toBe(state === started ? finished : state);
  });

  test('does not change for another epoch', () => {
    const { table, epoch } = tableIn(state);
    for (const other of [epoch + 1, epoch - 1, 0]) {
      expect([table.begin(0, other, 1), table.revoke(0, other)]).toEqual([false, false]);
      table.end(0, other, 1, false);
      table.skip(0, other);
    }
    expect(table.state(0), name).toBe(state);
  });

  test('is free once it was freed, and gets another epoch with the next shipment', () => {
    const { table, epoch } = tableIn(state);
    table.free(0);
    expect(table.state(0)).toBe(free);
    const next = table.ship(0);
    expect(table.state(0)).toBe(shipped);
    if (state !== free) expect(next).not.toBe(epoch);
    expect([table.begin(0, next, 1), table.revoke(0, next)]).toEqual([true, false]);
  });
});

test('rows do not affect each other', () => {
  const table = new SlotTable(3);
  const epochs = [0, 1, 2].map((row) => table.ship(row));
  table.begin(0, epochs[0]!, 10);
  table.revoke(2, epochs[2]!);
  table.requestStop(0, epochs[0]!, StopReason.cancelled);
  expect([0, 1, 2].map((row) => table.state(row))).toEqual([started, shipped, revoked]);
  expect([0, 1, 2].map((row) => table.stopReason(row, epochs[row]!))).toEqual([StopReason.cancelled, null, null]);
  expect(table.rows).toBe(3);
});

test.each(Object.values(StopReason))(
  'a stop with reason %d applies to one shipment and not to the next one',
  (reason) => {
    const table = new SlotTable(1);
    const first = table.ship(0);
    expect(table.stopReason(0, first)).toBe(null);
    table.requestStop(0, first, reason);
    expect(table.stopReason(0, first)).toBe(reason);
    table.free(0);
    const second = table.ship(0);
    expect(table.stopReason(0, second)).toBe(null);
    table.requestStop(0, first, reason); // late
    expect(table.stopReason(0, second)).toBe(null);
  },
);

test('an attempt with the highest epoch can be asked to stop', () => {
  const table = new SlotTable(1);
  new Int32Array(table.buffer)[0] = (2 ** 28 - 2) << 3;
  const epoch = table.ship(0);
  expect(epoch).toBe(2 ** 28 - 1);
  table.requestStop(0, epoch, StopReason.interrupted);
  expect(table.stopReason(0, epoch)).toBe(StopReason.interrupted);
});

test('a deadline stays on its row until it is removed or the row is shipped again', () => {
  const table = new SlotTable(2);
  table.ship(0);
  table.setDeadline(0, 1_234.5);
  expect([table.deadline(0), table.deadline(1)]).toEqual([1_234.5, 0]);
  table.setDeadline(0, 0);
  expect(table.deadline(0)).toBe(0);
  table.setDeadline(0, 99);
  table.free(0);
  table.ship(0);
  expect(table.deadline(0)).toBe(0);
});

test('epochs wrap around without ever being 0, which means no cancel', () => {
  const table = new SlotTable(1);
  const words = new Int32Array(table.buffer);
  words[0] = (2 ** 28 - 2) << 3;
  const epochs = Array.from({ length: 3 }, () => {
    const epoch = table.ship(0);
    expect(table.begin(0, epoch, 1)).toBe(true);
    table.free(0);
    return epoch;
  });
  expect(epochs).toEqual([2 ** 28 - 1, 1, 2]);
});

test('the table keeps when an attempt began and how long it took', () => {
  const table = new SlotTable(2);
  const epoch = table.ship(1);
  table.begin(1, epoch, 1_234.5);
  expect(table.startedAt(1)).toBe(1_234.5);
  table.end(1, epoch, 1_300.75, false);
  expect(table.durationMs(1)).toBe(66.25);
});

test('a table that another thread opens has the same rows', () => {
  const table = new SlotTable(4);
  const opened = new SlotTable(table.buffer);
  const epoch = table.ship(3);
  expect(opened.rows).toBe(4);
  expect(opened.begin(3, epoch, 1)).toBe(true);
  expect(table.state(3)).toBe(started);
});

test('exactly one of begin and revoke wins in each of 40,000 races between two threads', async () => {
  const ROUNDS = 500;
  const ROWS = 80;
  const table = new SlotTable(ROWS);
  const barrier = new SharedArrayBuffer(8);
  const wins = {
    begin: new Uint8Array(new SharedArrayBuffer(ROWS)),
    revoke: new Uint8Array(new SharedArrayBuffer(ROWS)),
  };

  // One walks up and the other down, so that they meet in every round, in the middle of the table.
  const code = `
    const { workerData } = require('node:worker_threads');
    (async () => {
      const { SlotTable } = await import(workerData.module);
      const { verb, wins, epochs, rounds } = workerData;
      const table = new SlotTable(workerData.buffer);
      const barrier = new Int32Array(workerData.barrier);
      for (let round = 1; round <= rounds; round++) {
        while (Atomics.load(barrier, 0) !== round) Atomics.wait(barrier, 0, round - 1);
        for (let i = 0; i < wins.length; i++) {
          const row = verb === 'begin' ? i : wins.length - 1 - i;
          if (table[verb](row, epochs[row], 1)) wins[row]++;
        }
        Atomics.add(barrier, 1, 1);
        Atomics.notify(barrier, 1);
      }
    })();
  `;
  const epochs = new Int32Array(new SharedArrayBuffer(ROWS * 4));
  const threads = (['begin', 'revoke'] as const).map((verb) => {
    const module = builtUrl('channel/slots.js');
    const workerData = { module, verb, wins: wins[verb], epochs, buffer: table.buffer, barrier, rounds: ROUNDS };
    return new Worker(code, { eval: true, workerData });
  });
  const over = Promise.all(threads.map((thread) => once(thread, 'exit')));
  const words = new Int32Array(barrier);
  const total = { begin: 0, revoke: 0 };

  for (let round = 1; round <= ROUNDS; round++) {
    for (let row = 0; row < ROWS; row++) epochs[row] = table.ship(row);
    wins.begin.fill(0);
    wins.revoke.fill(0);
    Atomics.store(words, 0, round);
    Atomics.notify(words, 0);
    for (let done = Atomics.load(words, 1); done < 2 * round; done = Atomics.load(words, 1)) {
      const wait = Atomics.waitAsync(words, 1, done);
      if (wait.async) await wait.value;
    }
    for (let row = 0; row < ROWS; row++) {
      const [began, took] = [wins.begin[row]!, wins.revoke[row]!];
      if (began + took !== 1) throw new Error(`round ${round}, row ${row}: begun ${began}, revoked ${took} times`);
      if (table.state(row) !== (began ? started : revoked)) throw new Error(`round ${round}, row ${row}: wrong state`);
      total.begin += began;
      total.revoke += took;
      table.free(row);
    }
  }
  await over;
  expect(total.begin + total.revoke).toBe(ROUNDS * ROWS);
  expect(Math.min(total.begin, total.revoke)).toBeGreaterThan(0); // it was a race
});

test('progress belongs to an attempt, and starts anew with the next one', () => {
  const table = new SlotTable(2);
  const epoch = table.ship(1);
  table.begin(1, epoch, 10);
  expect([table.current(1), table.total(1)]).toEqual([0, 100]);
  table.setCurrent(1, 2 ** 53 - 1);
  table.setTotal(1, 7);
  table.setDeadline(1, 1);
  table.end(1, epoch, 15, false);
  expect([table.current(1), table.total(1), table.durationMs(1), table.deadline(1)]).toEqual([2 ** 53 - 1, 7, 5, 1]);
  expect([table.current(0), table.total(0), table.startedAt(0)]).toEqual([0, 0, 0]);
  table.free(1);
  table.begin(1, table.ship(1), 20);
  expect([table.current(1), table.total(1)]).toEqual([0, 100]);
});

test.each(NAMES)('whether a row that is %s holds times and progress of its own run', (name, state) => {
  expect(hasBegun(state)).toBe(['started', 'finished', 'completedSilently'].includes(name));
});
