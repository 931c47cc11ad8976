/** Priorities: which executions start first when there are more than the threads can take. */
import { InvalidOptionError } from './errors.js';

/**
 * The priority of an execution. `high` starts before all others. `low` starts after them: when nothing else waits, and as one
 * execution in 32 while other work does.
 */
export type Priority = 'high' | 'normal' | 'low';

/** @throws InvalidOptionError when the value is not a priority */
export function checkPriority(value: unknown, option = 'priority'): Priority {
  if (value === 'high' || value === 'normal' || value === 'low') return value;
  const got = typeof value === 'string' ? `'${value}'` : String(value);
  throw new InvalidOptionError(option, `expected 'high', 'normal' or 'low', got ${got}`);
}
