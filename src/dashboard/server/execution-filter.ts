/** Reads a filter of executions, as the page sends it: of a task, in a state, with values of arguments. */
import { type ExecutionState, STATES } from '../../core/states.js';
import type { ListFilter } from '../../tasks/listing.js';
import { refuse } from './query.js';
import { parseWhere } from './where.js';

type Text = string | null | undefined;

/** @throws Refusal for what is no state, or no conditions */
export function executionFilter(given: {
  readonly task: Text;
  readonly state: Text;
  readonly where: Text;
}): ListFilter {
  const { task, state, where } = given;
  return {
    ...(task && { task }),
    ...(state && { state: stateOf(state) }),
    ...(where && { where: parseWhere(where) }),
  };
}

function stateOf(text: string): ExecutionState {
  return STATES.find((state) => state === text) ?? refuse(`state: expected one of ${STATES.join(', ')}`);
}
