/** Whether the states and results that were read agree with each other and with what was expected. */
import type { Added, Attempt, History, StateRead } from '../history.js';
import { grouped } from './grouped.js';
import type { Hits } from './hits.js';
import type { Violation } from './rules.js';

const TERMINAL = new Set(['completed', 'failed', 'cancelled']);

const STALE_RESULT = 'the result of an attempt that ended when it had been delivered again';

/** The state of an execution of which Redis knows nothing. */
export const NO_RECORD = 'none';

export function auditStates(history: History, hits: Hits): Violation[] {
  const byId = grouped(history.reads, ({ id }) => id);
  const last = new Map([...byId].map(([id, own]) => [id, own.at(-1)!]));
  return [
    ...[...byId.values()].flatMap((own) => changesAfterEnd(own, hits)),
    ...history.added.flatMap((one) => unexpectedEnd(one, last.get(one.id), hits)),
    ...resultsOf(history, last, hits),
  ];
}

/** Everybody who waited for a result was given one that an attempt returned, and Redis still has that. */
function resultsOf(
  { added, attempts, reads, waited }: History,
  last: ReadonlyMap<string, StateRead>,
  hits: Hits,
): Violation[] {
  const returned = new Map(
    attempts.filter(({ endedMs }) => endedMs !== null).map((attempt) => [attempt.token, attempt]),
  );
  const answers = new Map(waited.map((wait) => [wait.id, wait]));
  const byId = grouped(attempts, ({ id }) => id);
  const settledAt = new Map(added.map(({ id, settledMs }) => [id, settledMs]));
  const isStale = (attempt: Attempt) => wasTakenOver(attempt, byId.get(attempt.id)!, hits);
  return [
    ...reads.flatMap(({ id, token }) => {
      const attempt = token === null ? null : returned.get(token);
      if (attempt === null) return [];
      // What is read under the key may be another's when this one was lost.
      if (hits.mayHaveLost(settledAt.get(id) ?? 0, ['recent', 'everything'])) return [];
      if (attempt?.id !== id) return [violation(3, `the record of ${id} has a result that no attempt returned`)];
      return isStale(attempt) ? [violation(3, `the record of ${id} has ${STALE_RESULT}`)] : [];
    }),
    ...added.flatMap(({ id, shape, outcome, settledMs }) => {
      if (shape !== 'result' || outcome !== 'acknowledged') return [];
      const answer = answers.get(id);
      if (answer === undefined) return [violation(7, `waiting for ${id} had no end`)];
      if (answer.token === null) {
        if (hits.mayHaveLost(settledMs, ['recent', 'everything'])) return [];
        return [violation(7, `waiting for ${id} ended with ${answer.error}`)];
      }
      const attempt = returned.get(answer.token);
      if (attempt?.id !== id) return [violation(3, `${id} has a result that no attempt returned`)];
      if (isStale(attempt)) return [violation(3, `whoever waited for ${id} was given ${STALE_RESULT}`)];
      const kept = last.get(id)?.token ?? null;
      if (kept === null || kept === answer.token) return [];
      if (hits.mayHaveLostBetween(attempt.endedMs!, answer.atMs)) return []; // the outcome was lost, and written anew
      return [violation(3, `${id} has another result than the one that was waited for`)];
    }),
  ];
}

/** Whether an attempt came to its end when another worker had it already: its lease was lost, and so was its right to count. */
function wasTakenOver(one: Attempt, starts: readonly Attempt[], hits: Hits): boolean {
  if (one.redelivered) return false;
  return starts.some((other) => {
    const isSame = other.attempt === one.attempt && other.whenMs === one.whenMs;
    return (
      isSame &&
      other.redelivered &&
      other.startedMs < one.endedMs! &&
      !hits.mayHaveLost(other.startedMs, ['effects', 'recent', 'everything'])
    );
  });
}

function violation(rule: Violation['rule'], what: string): Violation {
  return { rule, what };
}

/** Reads of one execution after one that showed its end must show the same, unless that end itself was lost. */
function changesAfterEnd(reads: readonly StateRead[], hits: Hits): Violation[] {
  const at = reads.findIndex(({ state }) => TERMINAL.has(state));
  if (at < 0) return [];
  const end = reads[at]!;
  if (hits.mayHaveLost(end.atMs, ['effects', 'recent', 'everything'])) return [];
  let { token } = end;
  for (const read of reads.slice(at + 1)) {
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
