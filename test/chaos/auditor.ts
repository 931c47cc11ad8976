/**
 * Holds the history of a run against what docket promises. It compares sets of names, never counts: a loss and a duplicate do not
 * make up for each other.
 */
import { auditEnds } from './audit/ends.js';
import { auditEvidence } from './audit/evidence.js';
import { auditExecutions, type Duplicate } from './audit/executions.js';
import { Hits } from './audit/hits.js';
import { auditLimits } from './audit/limits.js';
import type { Violation } from './audit/rules.js';
import { auditStates } from './audit/states.js';
import type { History } from './history.js';

export interface Audit {
  readonly violations: readonly Violation[];
  /** Starts that had a predecessor, each with the faults that explain it. */
  readonly duplicates: readonly Duplicate[];
}

export function audit(history: History): Audit {
  const hits = new Hits(history);
  const { violations, duplicates } = auditExecutions(history, hits);
  const others = [
    ...history.seen,
    ...auditLimits(history, hits),
    ...auditStates(history, hits),
    ...auditEnds(history),
    ...auditEvidence(history),
  ];
  return { violations: [...violations, ...others], duplicates };
}
