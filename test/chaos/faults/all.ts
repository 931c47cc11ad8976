/** Every fault that there is. */
import type { Fault } from '../fault.js';
import { BODY_FAULTS } from './bodies.js';
import { FAILOVER_FAULTS } from './failover.js';
import { LINK_FAULTS } from './links.js';
import { PROCESS_FAULTS } from './processes.js';
import { SERVER_FAULTS } from './server.js';

export const ALL_FAULTS: readonly Fault[] = [
  ...PROCESS_FAULTS,
  ...BODY_FAULTS,
  ...LINK_FAULTS,
  ...SERVER_FAULTS,
  ...FAILOVER_FAULTS,
];

/** @throws Error when no fault has this name */
export function faultNamed(name: string): Fault {
  const found = ALL_FAULTS.find((fault) => fault.name === name);
  if (found === undefined) throw new Error(`no fault is called '${name}'`);
  return found;
}
