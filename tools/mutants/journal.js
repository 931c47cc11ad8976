// What was found out, a line of JSON for each event, so that a run that was stopped goes on where it was.
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PATH = 'results.jsonl';
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Adds an event. `folder` holds the journal. A mutant survives a test only as long as the file of that test stays as it is. */
export function note(folder, event) {
  const noted = event.result === 'survived' ? { ...event, version: versionOf(event.test) } : event;
  appendFileSync(join(folder, PATH), `${JSON.stringify(noted)}\n`);
}

const versions = new Map();

/** Returns what tells versions of the file of a test apart. The name of a test begins with that file. */
function versionOf(test) {
  const [file] = test.split(' > ', 1);
  if (!versions.has(file)) {
    const path = join(ROOT, file);
    const text = existsSync(path) ? readFileSync(path) : '';
    versions.set(file, createHash('sha1').update(text).digest('hex').slice(0, 8));
  }
  return versions.get(file);
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
 * Returns what is known of each mutant, by id: `killed` (by which test) or `timedOut`, the tests that it survived as they are now,
 * and the tests that failed with it where it is not certain that they failed because of it.
 */
export function verdicts(folder) {
  const found = new Map();
  for (const { id, test, result, error, version } of events(folder)) {
    if (!id) continue;
    if (!found.has(id)) found.set(id, { survived: new Set(), unclear: new Set() });
    const verdict = found.get(id);
    if (result === 'killed') verdict.killed ??= { test, error };
    else if (result === 'timed out') verdict.timedOut ??= { test };
    else if (result === 'unclear' || version === versionOf(test)) verdict[result].add(test);
  }
  return found;
}

/** Removes all that is known of some mutants. */
export function forget(folder, ids) {
  const kept = events(folder).filter(({ id }) => id && !ids.has(id));
  writeFileSync(join(folder, PATH), kept.map((event) => `${JSON.stringify(event)}\n`).join(''));
}
