/** Says which faults there are, and why a run that was asked for would have none. */
import type { Fault } from './fault.js';
import type { PlannedFault, ProfileOptions } from './profile.js';
import { TOPOLOGIES, type Topology } from './topology.js';

/** One line for each fault: its family, its name, and where it can be made. */
export function listOf(faults: readonly Fault[]): string[] {
  const names = faults.map(({ name }) => name.length);
  const sorted = faults.toSorted((a, b) => Number(a.family.slice(1)) - Number(b.family.slice(1)));
  return sorted.map((fault) => {
    const where = `${topologiesOf(fault).join(', ')}${fault.isOnlyByName ? '; only by its name' : ''}`;
    return `${fault.family.padEnd(5)}${fault.name.padEnd(Math.max(...names) + 2)}${where}`;
  });
}

/** Where a fault can be made. */
export function topologiesOf({ topologies = TOPOLOGIES }: Fault): readonly Topology[] {
  return topologies;
}

/** Why a plan has no faults; null when it has some. Such a run would keep every promise, and show nothing. */
export function emptyBecause(plan: readonly PlannedFault[], options: ProfileOptions): string | null {
  if (plan.length > 0) return null;
  const { chosen, topology, faults } = options;
  const asked = faults.filter(({ family, name }) => family === chosen || name === chosen);
  const places = new Set(asked.flatMap(topologiesOf));
  if (chosen !== undefined && !places.has(topology)) {
    return `on ${topology} there is no fault '${chosen}': use --topology ${[...places].join(' or ')}`;
  }
  if (asked.length > 0 && asked.every(({ isOnlyByName, name }) => isOnlyByName && name !== chosen)) {
    return `each fault of ${chosen} must be asked for by its name: ${asked.map(({ name }) => `'${name}'`).join(', ')}`;
  }
  return 'there is no time for a fault: use more --minutes';
}
