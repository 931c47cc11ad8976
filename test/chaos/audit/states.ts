/** Whether the states and results that were read agree with each other and with what was expected. */
import type { Added, History, StateRead } from '../history.js';
import { grouped } from './grouped.js';
import type { Hits } from './hits.js';
import type { Violation } from './rules.js';

const TERMINAL = new Set(['completed', 'failed', 'cancelled']);

/** The state of an execution of which Redis knows nothing. */
export const NO_RECORD = 'none';

export function auditStates({ added, attempts, reads, waited }: History, hits: Hits): Violation[] {
  const byId = grouped(reads, ({ id }) => id);
  const last = new Map([...byId].map(([id, own]) => [id, own.at(-1)!]));
  const tokens = new Map(attempts.map(({ id, token }) => [token, id]));
  return [
    ...[...byId.values()].flatMap((own) => changesAfterEnd(own, hits)),
    ...added.flatMap((one) => unexpectedEnd(one, last.get(one.id), hits)),
    ...waited.flatMap((wait) => {
      const end = last.get(wait.id);
      const isLossy = hits.mayHaveLostBetween(0, Infinity);
      if (wait.token === null) return isLossy ? [] : [violation(7, `waiting for ${wait.id} ended with ${wait.error}`)];
      if (tokens.get(wait.token) !== wait.id) return [violation(3, `${wait.id} has a result that no attempt returned`)];
      if (isLossy || !end || end.token === null || end.token === wait.token) return [];
      return [violation(3, `${wait.id} has another result than the one that was waited for`)];
    }),
  ];
}

function violation(rule: Violation['rule'], what: string): Violation {
  return { rule, what };
}

/** Reads of one execution after one that showed its end must show the same. */
function changesAfterEnd(reads: readonly StateRead[], hits: Hits): Violation[] {
  const at = reads.findIndex(({ state }) => TERMINAL.has(state));
  if (at < 0) return [];
  const end = reads[at]!;
  let { token } = end;
  for (const read of reads.slice(at + 1)) {
    if (hits.mayHaveLostBetween(end.atMs, read.atMs)) return [];
    const isOther = token !== null && read.token !== null && read.token !== token;
    if (read.state !== end.state) return [violation(9, `${end.id} was ${end.state}, and then ${read.state}`)];
    if (isOther) return [violation(9, `the result of ${end.id} has changed after its end`)];
    token ??= read.token;
  }
  return [];
}

function unexpectedEnd(one: Added, end: StateRead | undefined, hits: Hits): Violation[] {
  if (one.outcome !== 'acknowledged' || one.key === null || end === undefined || one.final === null) return [];
  if (one.stopped?.how === 'perhaps') return [];
  if (hits.mayHaveLost(one.settledMs, ['recent', 'everything'])) return [];
  const isStopped = one.stopped?.how === 'cancelled';
  if (isStopped && hits.mayHaveLost(one.stopped.settledMs, ['effects'])) return [];
  const expected = isStopped ? 'cancelled' : one.final;
  if (end.state === expected) return [];
  const rule = end.state === NO_RECORD ? 1 : TERMINAL.has(end.state) ? 8 : 7;
  return [violation(rule, `${one.id} is ${end.state} in the end, and should be ${expected}`)];
}
