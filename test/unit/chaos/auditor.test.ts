/** The auditor of the chaos suite sees each promise that is broken: it is given histories that were falsified. */
import { describe, expect, test } from 'vitest';
import type { Rule } from '../../chaos/audit/rules.js';
import { audit } from '../../chaos/auditor.js';
import type { Added, Attempt, FaultWindow, Harm, History } from '../../chaos/history.js';

/** When the run of these histories begins. */
const T0 = 1_000_000;

function added(id: string, more: Partial<Added> = {}): Added {
  const expected = { dueMs: null, runs: 1, attempts: 1, final: 'completed', stopped: null, harms: null } as const;
  return { id, key: id, shape: 'keyed', outcome: 'acknowledged', error: null, settledMs: T0, ...expected, ...more };
}

function attempt(id: string, more: Partial<Attempt> = {}): Attempt {
  const seen = {
    attempt: 1,
    whenMs: T0,
    clockMs: T0,
    worker: 'chaos-0',
    thread: '1/1',
    redelivered: false,
    limit: null,
  };
  const startedMs = more.startedMs ?? T0 + 100;
  return { id, token: `${id} at ${startedMs}`, startedMs, endedMs: startedMs + 50, ...seen, ...more };
}

function fault(more: Partial<FaultWindow> = {}): FaultWindow {
  const what = { number: 1, fault: 'F1', name: 'worker killed', reach: 'worker', loses: 'nothing' } as const;
  return {
    ...what,
    holdsOutcomes: false,
    drains: false,
    worker: 'chaos-0',
    thread: null,
    beganMs: T0 + 120,
    endedMs: T0 + 200,
    ...more,
  };
}

const SAMPLE = { worker: 'chaos-0', pid: 1, residentBytes: 100_000_000, handles: 30, threads: 14, atMs: T0 };

const ended = (id: string, state = 'completed') => ({ id, state, token: null, atMs: T0 + 60_000 });

function history(more: Partial<History> = {}): History {
  return {
    limits: { a: 2 },
    retryDelayMs: 100,
    added: [added('x')],
    attempts: [attempt('x')],
    faults: [],
    reads: (more.added ?? [added('x')]).map(({ id, final }) => ended(id, final ?? 'completed')),
    waited: [],
    permits: [],
    processes: [SAMPLE],
    exits: [],
    falseReadiness: [],
    oddErrors: [],
    quarantine: { written: 0, kept: 0, sound: [] },
    seen: [],
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

  test('or perhaps not, and has started, is lost when its body never came to its end', () => {
    const attempts = [attempt('x', { endedMs: null })];
    const all = [added('x', { outcome: 'uncertain', key: null }), added('y')];
    expect(broken({ added: all, attempts: [...attempts, attempt('y')] })).toEqual([1]);
    expect(broken({ added: all, attempts: [attempt('y')] })).toEqual([]);
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

  test('is explained by a fault that hit its worker while its outcome could not be written', () => {
    const cut = fault({ beganMs: T0 + 4_000, endedMs: T0 + 8_000 });
    const hold = (more: Partial<FaultWindow> = {}) =>
      fault({ reach: 'none', worker: null, holdsOutcomes: true, beganMs: T0 + 150, endedMs: T0 + 4_500, ...more });
    expect(broken({ attempts: twice, faults: [cut] })).toEqual([2]);
    expect(broken({ attempts: twice, faults: [cut, hold()] })).toEqual([]);
    expect(broken({ attempts: twice, faults: [cut, hold({ worker: 'chaos-0' })] })).toEqual([]);
    expect(broken({ attempts: twice, faults: [cut, hold({ worker: 'chaos-1' })] })).toEqual([2]);
    expect(broken({ attempts: twice, faults: [cut, hold({ endedMs: T0 + 800 })] })).toEqual([2]);
  });

  test('is explained by the drain of its worker while its outcome could not be written', () => {
    const drain = fault({ reach: 'none', drains: true, beganMs: T0 + 1_000, endedMs: T0 + 3_000 });
    const hold = (more: Partial<FaultWindow> = {}) =>
      fault({ reach: 'none', worker: null, holdsOutcomes: true, beganMs: T0 + 120, endedMs: T0 + 2_000, ...more });
    expect(broken({ attempts: twice, faults: [drain] })).toEqual([2]);
    expect(broken({ attempts: twice, faults: [hold()] })).toEqual([2]);
    expect(broken({ attempts: twice, faults: [drain, hold()] })).toEqual([]);
    expect(broken({ attempts: twice, faults: [drain, hold({ endedMs: T0 + 800 })] })).toEqual([2]);
    expect(broken({ attempts: twice, faults: [{ ...drain, worker: 'chaos-2' }, hold()] })).toEqual([2]);
  });

  test('needs a fault for each start but one', () => {
    const thrice = [...twice, attempt('x', { startedMs: T0 + 18_000, worker: 'chaos-2' })];
    expect(broken({ attempts: thrice, faults: [fault()] })).toEqual([2]);
  });

  test('is explained by a body that harmed the thread beside it', () => {
    const harm = attempt('h', { startedMs: T0 + 90 });
    const all = (harms: Harm) => [added('x'), added('h', { shape: 'hostile', attempts: 2, harms })];
    expect(broken({ added: all('thread'), attempts: [...twice, harm] })).toEqual([]);
    const elsewhere = { ...harm, thread: '1/2' };
    expect(broken({ added: all('thread'), attempts: [...twice, elsewhere] })).toEqual([2]);
    expect(broken({ added: all('process'), attempts: [...twice, elsewhere] })).toEqual([]);
  });

  test('is not explained by a fault that began after it, on the worker of either start', () => {
    for (const worker of ['chaos-0', 'chaos-1']) {
      const late = fault({ worker, beganMs: T0 + 9_010, endedMs: T0 + 9_020 });
      const near = [twice[0]!, { ...twice[1]!, startedMs: T0 + 8_990, endedMs: T0 + 9_015 }];
      expect(broken({ attempts: near, faults: [late] })).toEqual([2]);
    }
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
    const given = (token: string) => [{ id: 'x', token, error: null, atMs: T0 + 9_100 }];
    const twice = [attempt('x'), attempt('x', { startedMs: T0 + 9_000, worker: 'chaos-1' })];
    const { token } = twice[1]!;
    const run = {
      added: [added('x', { shape: 'result' })],
      attempts: twice,
      faults: [fault()],
      reads: [{ ...ended('x'), token }],
    };
    expect(broken({ ...run, waited: given(token) })).toEqual([]);
    const taken = [
      { ...twice[0]!, endedMs: T0 + 9_500 },
      { ...twice[1]!, redelivered: true },
    ];
    expect(broken({ ...run, attempts: taken, waited: given(token) })).toEqual([]);
    const stale = { ...run, attempts: taken, reads: [{ ...ended('x'), token: taken[0]!.token }] };
    expect(broken({ ...stale, waited: given(taken[0]!.token) })).toEqual([3]);
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

  test('of the next attempt before its delay is over breaks a promise', () => {
    const tries = (pauseMs: number) => [
      attempt('x', { endedMs: T0 + 200 }),
      attempt('x', { attempt: 2, startedMs: T0 + 200 + pauseMs }),
    ];
    const retried = { added: [added('x', { shape: 'retried', attempts: 2 })] };
    expect(broken({ ...retried, attempts: tries(100) })).toEqual([]);
    expect(broken({ ...retried, attempts: tries(50) })).toEqual([5]);
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
    const all = [added('x', { outcome: 'refused' }), added('y')];
    expect(broken({ added: all, attempts: [attempt('x'), attempt('y')] })).toEqual([11]);
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

test('an attempt that a fault used up is reported, also when the number of attempts comes out right', () => {
  const numbers = [1, 2, 3];
  const tries = numbers.map((number, i) => attempt('x', { attempt: number, startedMs: T0 + 1_000 * i }));
  const failing = {
    added: [added('x', { shape: 'failing', attempts: 3, final: 'failed' })],
    faults: [fault()],
  } as const;
  expect(broken({ ...failing, attempts: tries })).toEqual([]);
  expect(
    broken({ ...failing, attempts: tries.map((one) => (one.attempt === 2 ? { ...one, endedMs: null } : one)) }),
  ).toEqual([8]);
  expect(broken({ ...failing, attempts: tries.filter((one) => one.attempt !== 2) })).toEqual([8]);
});

test('an attempt that nobody may have is reported', () => {
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
  const attempts = [attempt('x'), attempt('x', { startedMs: T0 + 9_000 })];
  const results = attempts.map(({ token }) => ({ ...ended('x'), token }));
  expect(broken({ attempts, faults: [fault()], reads: results })).toEqual([9]);
});

test('a record that is gone in the end is reported as lost', () => {
  expect(broken({ reads: [ended('x', 'none')] })).toEqual([1]);
});

test('a worker that needs more and more is reported', () => {
  expect(broken({ processes: [SAMPLE, SAMPLE] })).toEqual([]);
  for (const more of [{ residentBytes: 900_000_000 }, { handles: 90 }, { threads: 40 }]) {
    expect(broken({ processes: [SAMPLE, { ...SAMPLE, ...more }] })).toEqual([10]);
  }
});

test('the memory of a worker is not judged while a body eats it on purpose', () => {
  const grown = { ...SAMPLE, residentBytes: 900_000_000, atMs: T0 + 20_000 };
  const eats = (beganMs: number) => fault({ fault: 'F3', reach: 'none', beganMs, endedMs: beganMs + 2_000 });
  expect(broken({ processes: [SAMPLE, grown], faults: [eats(T0 + 17_000)] })).toEqual([]);
  expect(broken({ processes: [SAMPLE, grown], faults: [eats(T0 + 5_000)] })).toEqual([10]);
});

test('an error that says nothing of what was written is reported', () => {
  expect(broken({ oddErrors: ['TypeError'] })).toEqual([11]);
});

test('a message that was dropped because nobody can read it is reported', () => {
  expect(broken({ quarantine: { written: 2, kept: 1, sound: [] } })).toEqual([12]);
});

test('a message that was quarantined although it can be read is reported', () => {
  expect(broken({ quarantine: { written: 1, kept: 1, sound: ['x'] } })).toEqual([12]);
  expect(broken({ quarantine: { written: 1, kept: 2, sound: [] } })).toEqual([12]);
});

describe('where a failover takes the last writes', () => {
  const failover = (beganMs: number) => [
    fault({ reach: 'all', worker: null, loses: 'effects', beganMs, endedMs: beganMs + 2_000 }),
  ];
  const twice = [attempt('x'), attempt('x', { startedMs: T0 + 9_000, worker: 'chaos-1' })];
  const waited = (token: string | null) => [{ id: 'x', token, error: token && 'Error', atMs: T0 + 200 }];
  const of = (beganMs: number) => ({
    added: [added('x', { shape: 'result' })],
    attempts: twice,
    faults: failover(beganMs),
    reads: [{ ...ended('x'), token: twice[1]!.token }],
  });

  test('a result may differ from the one that was waited for only if its end was one of them', () => {
    expect(broken({ ...of(T0 + 1_000), waited: waited(twice[0]!.token) })).toEqual([]);
    expect(broken({ ...of(T0 + 7_000), waited: waited(twice[0]!.token) })).toContain(3);
  });

  test('waiting for what was acknowledged still ends, with a result', () => {
    expect(broken({ ...of(T0 + 1_000), waited: waited(null) })).toEqual([7]);
    expect(broken({ ...of(T0 + 1_000), waited: [] })).toEqual([7]);
  });

  test('an end that was there long before stays', () => {
    const reads = [{ ...ended('x'), atMs: T0 + 300 }, ended('x', 'running'), ended('x')];
    expect(broken({ attempts: [attempt('x')], faults: failover(T0 + 1_000), reads })).toEqual([]);
    expect(broken({ attempts: [attempt('x')], faults: failover(T0 + 20_000), reads })).toEqual([9]);
  });
});

test('a result that no attempt returned is reported, also when nobody waited for it', () => {
  expect(broken({ reads: [{ ...ended('x'), token: 'made up' }] })).toEqual([3]);
  const attempts = [attempt('x'), attempt('x', { startedMs: T0 + 150, endedMs: null })];
  const lossy = [fault({ reach: 'all', loses: 'recent', beganMs: T0 + 1_000, endedMs: T0 + 2_000 })];
  expect(broken({ reads: [{ ...ended('x'), token: 'of what it had replaced' }], faults: lossy })).toEqual([]);
  const cutShort = { attempts, faults: [fault()], reads: [{ ...ended('x'), token: attempts[1]!.token }] };
  expect(broken(cutShort)).toEqual([3]);
});

describe('a run that shows nothing is reported', () => {
  test('because nothing was acknowledged', () => {
    expect(broken({ added: [], attempts: [] })).toEqual([13]);
  });

  test('because the state of something was never read', () => {
    expect(broken({ reads: [] })).toEqual([13]);
  });

  test('because no sample shows a permit, although bodies must have had some', () => {
    const long = { attempts: [attempt('x', { limit: 'a', endedMs: T0 + 30_000 })] };
    const sample = (taken: number) => [{ limit: 'lane a', taken, atMs: T0 + 500 }];
    expect(broken({ ...long, permits: sample(1) })).toEqual([]);
    expect(broken({ ...long, permits: sample(0) })).toEqual([13]);
    expect(broken(long)).toEqual([13]);
  });

  test('because nobody looked at what workers need', () => {
    expect(broken({ processes: [] })).toEqual([13]);
  });

  test('because a fault had no effect', () => {
    expect(broken({ seen: [{ rule: 13, what: 'nobody was killed' }] })).toEqual([13]);
  });
});
