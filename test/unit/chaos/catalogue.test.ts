/** Each fault of the chaos suite can be made by itself, and no run without faults is taken for one that kept every promise. */
import { describe, expect, test } from 'vitest';
import { emptyBecause, listOf, topologiesOf } from '../../chaos/catalogue.js';
import { ALL_FAULTS } from '../../chaos/faults/all.js';
import { planFaults } from '../../chaos/profile.js';

const FAMILIES = Array.from({ length: 17 }, (_, i) => `F${i + 1}`);
const PLAN = { seed: 1, durationMs: 120_000, workers: 3, faults: ALL_FAULTS } as const;

test('there are faults of each family, and none of another', () => {
  expect(new Set(ALL_FAULTS.map(({ family }) => family))).toEqual(new Set(FAMILIES));
});

test('no two faults have one name', () => {
  expect(new Set(ALL_FAULTS.map(({ name }) => name)).size).toBe(ALL_FAULTS.length);
});

test.each(ALL_FAULTS.map((fault) => [fault.name, fault] as const))(
  'the fault %s comes alone when it is asked for by its name, wherever it can be made',
  (name, fault) => {
    for (const topology of topologiesOf(fault)) {
      const plan = planFaults({ ...PLAN, topology, chosen: name });
      expect(new Set(plan.map((planned) => planned.name))).toEqual(new Set([name]));
    }
  },
);

test('the list names each fault with its family and where it can be made, by family', () => {
  const list = listOf(ALL_FAULTS);
  for (const { family, name, topologies, isOnlyByName } of ALL_FAULTS) {
    const line = list.find((line) => line.startsWith(`${family} `) && line.includes(` ${name} `));
    expect(line).toContain(topologies?.join(', ') ?? 'single, partitions, sentinel, cluster');
    expect(line!.includes('only by its name')).toBe(isOnlyByName ?? false);
  }
  expect([...new Set(list.map((line) => line.split(' ')[0]))]).toEqual(FAMILIES);
});

describe('a run without faults is refused, with what to do about it', () => {
  const refusal = (options: Partial<Parameters<typeof planFaults>[0]>) => {
    const whole = { ...PLAN, topology: 'single', ...options } as const;
    return emptyBecause(planFaults(whole), whole);
  };

  test('because the fault is about other servers', () => {
    expect(refusal({ chosen: 'F7' })).toContain('use --topology sentinel or cluster');
    expect(refusal({ chosen: 'FLUSHALL', topology: 'cluster' })).toContain('use --topology single or partitions');
  });

  test('because it is too short', () => {
    expect(refusal({ durationMs: 1_000 })).toContain('use more --minutes');
  });

  test('but not one that has some', () => {
    expect(refusal({})).toBeNull();
    expect(refusal({ chosen: 'FLUSHALL' })).toBeNull();
  });
});
