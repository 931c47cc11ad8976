/** The auditor of the chaos suite sees each promise that is broken: it is given histories that were falsified. */
import { describe, expect, test } from 'vitest';
import type { Rule } from '../../chaos/audit/rules.js';
import { audit } from '../../chaos/auditor.js';
import type { Added, Attempt, FaultWindow, History } from '../../chaos/history.js';

/** When the run of these histories begins. */
const T0 = 1_000_000;

function added(id: string, more: Partial<Added> = {}): Added {
  const expected = { dueMs: null, runs: 1, attempts: 1, final: 'completed', stopped: null } as const;
  return { id, key: id, shape: 'keyed', outcome: 'acknowledged', error: null, settledMs: T0, ...expected, ...more };
}

function attempt(id: string, more: Partial<Attempt> = {}): Attempt {
  const seen = { attempt: 1, whenMs: T0, worker: 'chaos-0', redelivered: false, limit: null };
  const startedMs = more.startedMs ?? T0 + 100;
  return { id, token: `${id} at ${startedMs}`, startedMs, endedMs: startedMs + 50, ...seen, ...more };
}

function fault(more: Partial<FaultWindow> = {}): FaultWindow {
  const what = { number: 1, fault: 'F1', name: 'worker killed', reach: 'worker', loses: 'nothing' } as const;
  return { ...what, worker: 'chaos-0', beganMs: T0 + 120, endedMs: T0 + 200, ...more };
}

const ended = (id: string, state = 'completed') => ({ id, state, token: null, atMs: T0 + 60_000 });

function history(more: Partial<History> = {}): History {
  return {
    limits: { a: 2 },
    added: [added('x')],
    attempts: [attempt('x')],
    faults: [],
    reads: [],
    waited: [],
    permits: [],
    processes: [],
    exits: [],
    falseReadiness: [],
    oddErrors: [],
    quarantine: { written: 0, kept: 0 },
    quiescence: { beganMs: T0 + 50_000, reachedMs: T0 + 51_000, leftovers: [], permits: {}, unready: [] },
    ...more,
  };
}

function broken(more: Partial<History>): Rule[] {
  return [...new Set(audit(history(more)).violations.map(({ rule }) => rule))];
}

test('a history in which every promise was kept has nothing to complain of', () => {
  expect(audit(history({ reads: [ended('x')] }))).toEqual({ violations: [], duplicates: [] });
});

describe('an execution that was acknowledged', () => {
  test('and never ran is lost, also when another ran twice', () => {
    const attempts = [attempt('y', { startedMs: T0 + 100 }), attempt('y', { startedMs: T0 + 300 })];
    expect(broken({ added: [added('x'), added('y')], attempts, faults: [fault()] })).toEqual([1]);
  });

  test('and whose body never came to its end is lost', () => {
    expect(broken({ attempts: [attempt('x', { endedMs: null })] })).toEqual([1]);
  });

  test('as a chain is lost when one of its runs is missing', () => {
    expect(broken({ added: [added('x', { shape: 'chain', runs: 2 })] })).toEqual([1]);
  });

  test('may be lost only when a fault took what was written then', () => {
    const lossy = (beganMs: number) => [fault({ reach: 'all', loses: 'recent', beganMs, endedMs: beganMs + 100 })];
    expect(broken({ attempts: [], faults: lossy(T0 + 1_000) })).toEqual([]);
    expect(broken({ attempts: [], faults: lossy(T0 + 30_000) })).toEqual([1]);
  });
});

describe('a second start', () => {
  const twice = [attempt('x', { startedMs: T0 + 100 }), attempt('x', { startedMs: T0 + 9_000, worker: 'chaos-1' })];

  test('without a fault breaks a promise', () => {
    expect(broken({ attempts: twice })).toEqual([2]);
  });

  test('is explained by a fault of the worker on which the other one was', () => {
    const { violations, duplicates } = audit(history({ attempts: twice, faults: [fault()] }));
    expect(violations).toEqual([]);
    expect(duplicates).toEqual([{ id: 'x', faults: [fault()] }]);
  });

  test('is not explained by a fault of a third worker, of another time, or that hits no execution', () => {
    expect(broken({ attempts: twice, faults: [fault({ worker: 'chaos-2' })] })).toEqual([2]);
    expect(broken({ attempts: twice, faults: [fault({ beganMs: T0 + 30_000, endedMs: T0 + 31_000 })] })).toEqual([2]);
    expect(broken({ attempts: twice, faults: [fault({ reach: 'none', worker: null })] })).toEqual([2]);
  });

  test('needs a fault for each start but one', () => {
    const thrice = [...twice, attempt('x', { startedMs: T0 + 18_000, worker: 'chaos-2' })];
    expect(broken({ attempts: thrice, faults: [fault()] })).toEqual([2]);
  });

  test('is explained by a body that harmed the thread beside it', () => {
    const harm = attempt('h', { startedMs: T0 + 90 });
    const all = [added('x'), added('h', { shape: 'hostile', attempts: 2 })];
    expect(broken({ added: all, attempts: [...twice, harm] })).toEqual([]);
  });
});

describe('what counts', () => {
  test('is one chain, with as many runs as it was added for', () => {
    const runs = [attempt('x'), attempt('x', { startedMs: T0 + 900, whenMs: T0 + 500 })];
    expect(broken({ added: [added('x', { shape: 'chain' })], attempts: runs })).toEqual([3]);
  });

  test('is something that somebody has added', () => {
    expect(broken({ attempts: [attempt('x'), attempt('stranger')] })).toEqual([3]);
  });

  test('is the result that a caller was given', () => {
    const given = (token: string) => [{ id: 'x', token, error: null }];
    const twice = [attempt('x'), attempt('x', { startedMs: T0 + 9_000, worker: 'chaos-1' })];
    const { token } = twice[1]!;
    const run = { attempts: twice, faults: [fault()], reads: [{ ...ended('x'), token }] };
    expect(broken({ ...run, waited: given(token) })).toEqual([]);
    expect(broken({ ...run, waited: given(twice[0]!.token) })).toEqual([3]);
    expect(broken({ ...run, waited: given('made up') })).toEqual([3]);
  });
});

describe('a limit', () => {
  test('that gave more permits than it has is seen in a sample', () => {
    expect(broken({ permits: [{ limit: 'lane a', taken: 3, atMs: T0 }] })).toEqual([4]);
  });

  test('of which permits are left when nothing runs is seen', () => {
    const quiescence = { ...history().quiescence, permits: { 'lane a': 1 } };
    expect(broken({ quiescence })).toEqual([4]);
  });

  test('under which too many bodies ran at once is seen, unless a fault has taken the permit of one', () => {
    const names = ['x', 'y', 'z'];
    const attempts = names.map((id, i) => attempt(id, { limit: 'a', worker: `chaos-${i}` }));
    const all = names.map((id) => added(id));
    expect(broken({ added: all, attempts })).toEqual([4]);
    expect(broken({ added: all, attempts, faults: [fault()] })).toEqual([]);
  });

  test('lets the next body start in the millisecond in which the one before it ended', () => {
    const attempts = [0, 50, 100].flatMap((after) =>
      [1, 2].map((i) => attempt(`${after} ${i}`, { limit: 'a', startedMs: T0 + after })),
    );
    expect(broken({ added: attempts.map(({ id }) => added(id)), attempts })).toEqual([]);
  });
});

describe('a start', () => {
  test('before the execution was due breaks a promise, by either due time', () => {
    expect(broken({ added: [added('x', { dueMs: T0 + 500 })] })).toEqual([5]);
    expect(broken({ attempts: [attempt('x', { whenMs: T0 + 500 })] })).toEqual([5]);
  });

  test('after it was cancelled or replaced breaks a promise', () => {
    for (const how of ['cancelled', 'replaced'] as const) {
      const one = added('x', { dueMs: T0 + 90, final: null, stopped: { how, settledMs: T0 + 50 } });
      expect(broken({ added: [one] })).toEqual([5]);
    }
  });

  test('after a cancel that perhaps came too late breaks none', () => {
    expect(broken({ added: [added('x', { stopped: { how: 'perhaps', settledMs: T0 + 50 } })] })).toEqual([]);
  });

  test('of what was refused breaks a promise', () => {
    expect(broken({ added: [added('x', { outcome: 'refused' })] })).toEqual([11]);
  });
});

test('what is left in Redis is reported', () => {
  expect(broken({ quiescence: { ...history().quiescence, leftovers: ['3 entries are still there'] } })).toEqual([6]);
});

test('a backlog that never drains is reported, and so is a worker that is not ready then', () => {
  expect(broken({ quiescence: { ...history().quiescence, reachedMs: null } })).toEqual([7]);
  expect(broken({ quiescence: { ...history().quiescence, unready: ['chaos-0 is not ready'] } })).toEqual([7]);
});

test('a worker that calls itself ready although it is cut off is reported', () => {
  expect(broken({ falseReadiness: [{ worker: 'chaos-0', atMs: T0, cutForMs: 9_000 }] })).toEqual([7]);
});

test('an execution that is still running in the end is reported', () => {
  expect(broken({ reads: [ended('x', 'running')] })).toEqual([7]);
});

test('an attempt that a fault used up is reported', () => {
  const attempts = [attempt('x', { endedMs: null }), attempt('x', { startedMs: T0 + 900, attempt: 2 })];
  expect(broken({ attempts, faults: [fault()] })).toContain(8);
  expect(broken({ reads: [ended('x', 'failed')] })).toEqual([8]);
});

test('a worker that ended by itself is reported', () => {
  expect(broken({ exits: [{ worker: 'chaos-0', atMs: T0, reason: 'code 1' }] })).toEqual([8]);
});

test('an end that was taken back is reported, and so is a result that changed', () => {
  const reads = [ended('x'), ended('x', 'running'), ended('x')];
  expect(broken({ reads })).toEqual([9]);
  const results = ['one', 'two'].map((token) => ({ ...ended('x'), token }));
  expect(broken({ reads: results })).toEqual([9]);
});

test('a record that is gone in the end is reported as lost', () => {
  expect(broken({ reads: [ended('x', 'none')] })).toEqual([1]);
});

test('a worker that needs more and more is reported', () => {
  const sample = { worker: 'chaos-0', pid: 1, residentBytes: 100_000_000, handles: 30, threads: 14, atMs: T0 };
  expect(broken({ processes: [sample, sample] })).toEqual([]);
  for (const more of [{ residentBytes: 900_000_000 }, { handles: 90 }, { threads: 40 }]) {
    expect(broken({ processes: [sample, { ...sample, ...more }] })).toEqual([10]);
  }
});

test('an error that says nothing of what was written is reported', () => {
  expect(broken({ oddErrors: ['TypeError'] })).toEqual([11]);
});

test('a message that was dropped because nobody can read it is reported', () => {
  expect(broken({ quarantine: { written: 2, kept: 1 } })).toEqual([12]);
});
