// What was found out, a line of JSON for each event, so that a run that was stopped goes on where it was.
import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PATH = 'results.jsonl';

/** Adds an event. `folder` holds the journal. */
export function note(folder, event) {
  appendFileSync(join(folder, PATH), `${JSON.stringify(event)}\n`);
}

/** Returns the size of the journal, from which `events` goes on. */
export function sizeOf(folder) {
  const path = join(folder, PATH);
  return existsSync(path) ? statSync(path).size : 0;
}

/** Returns all events, oldest first, or those behind a position. */
export function events(folder, from = 0) {
  if (sizeOf(folder) <= from) return [];
  return readFileSync(join(folder, PATH))
    .toString('utf8', from)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/**
 * Returns what is known of each mutant, by id: `killed` (by which test) or `timedOut`, the tests that it survived, and the tests
 * that failed with it where it is not certain that they failed because of it.
 */
export function verdicts(folder) {
  const found = new Map();
  for (const { id, test, result, error } of events(folder)) {
    if (!id) continue;
    if (!found.has(id)) found.set(id, { survived: new Set(), unclear: new Set() });
    const verdict = found.get(id);
    if (result === 'killed') verdict.killed ??= { test, error };
    else if (result === 'timed out') verdict.timedOut ??= { test };
    else verdict[result].add(test);
  }
  return found;
}

/** Removes all that is known of some mutants. */
export function forget(folder, ids) {
  const kept = events(folder).filter(({ id }) => id && !ids.has(id));
  writeFileSync(join(folder, PATH), kept.map((event) => `${JSON.stringify(event)}\n`).join(''));
}
