/** The faults of a chaos run follow from its seed alone, and never get into each other's way. */
import { expect, test } from 'vitest';
import type { Fault } from '../../chaos/fault.js';
import { planFaults } from '../../chaos/profile.js';
import { TOPOLOGIES } from '../../chaos/topology.js';

function fault(name: string, more: Partial<Fault> = {}): Fault {
  const start = async () => async () => {};
  return { family: 'F1', name, resources: ['worker'], lastsMs: [500, 4_000], reach: 'worker', start, ...more };
}

const FAULTS = [
  fault('killed'),
  fault('stopped', { family: 'F12' }),
  fault('restarted', { family: 'F5', resources: ['server'], topologies: ['single'] }),
  fault('flushed', { family: 'F6', resources: ['server'], isOnlyByName: true }),
  fault('cut off', { family: 'F8', resources: ['producers'] }),
];
const OPTIONS = { seed: 1, topology: 'single', durationMs: 120_000, workers: 3, faults: FAULTS } as const;

test('one seed gives one plan, and another seed gives another', () => {
  expect(planFaults(OPTIONS)).toEqual(planFaults(OPTIONS));
  expect(planFaults({ ...OPTIONS, seed: 2 })).not.toEqual(planFaults(OPTIONS));
});

test.each(Array.from({ length: 50 }, (_, seed) => seed))('seed %i: no two faults have one thing at a time', (seed) => {
  const plan = planFaults({ ...OPTIONS, seed });
  for (const [i, one] of plan.entries()) {
    const lasting = plan.slice(0, i).filter(({ atMs, lastsMs }) => atMs + lastsMs > one.atMs);
    expect(lasting.length).toBeLessThan(2);
    const what = ({ name, worker }: typeof one) =>
      worker === null ? FAULTS.find((f) => f.name === name)!.resources[0] : worker;
    expect(lasting.map(what)).not.toContain(what(one));
    expect(one.atMs + one.lastsMs).toBeLessThanOrEqual(OPTIONS.durationMs);
  }
});

test('each fault that may be mixed comes in a plan, and none that is made only by its name', () => {
  const names = new Set(planFaults(OPTIONS).map(({ name }) => name));
  expect([...names].sort()).toEqual(['cut off', 'killed', 'restarted', 'stopped']);
});

test('a family and a name choose faults, which then come one at a time', () => {
  const namesOf = (chosen: string) => new Set(planFaults({ ...OPTIONS, chosen }).map(({ name }) => name));
  expect(namesOf('F12')).toEqual(new Set(['stopped']));
  expect(namesOf('F6')).toEqual(new Set());
  expect(namesOf('flushed')).toEqual(new Set(['flushed']));
  const plan = planFaults({ ...OPTIONS, chosen: 'F1' });
  for (const [i, { atMs, lastsMs }] of plan.slice(0, -1).entries()) {
    expect(plan[i + 1]!.atMs).toBeGreaterThanOrEqual(atMs + lastsMs);
  }
});

test.each(TOPOLOGIES)('on %s only faults are planned that are about it', (topology) => {
  const names = planFaults({ ...OPTIONS, topology }).map(({ name }) => name);
  expect(names.includes('restarted')).toBe(topology === 'single');
});

test('numbers stay those of the whole plan when faults are taken out', () => {
  expect(planFaults(OPTIONS).map(({ number }) => number)).toEqual(planFaults(OPTIONS).map((_, i) => i + 1));
});
