/** What is left when a run is over: in Redis, in the workers, and of what should never have happened. */
import type { History, ProcessSample } from '../history.js';
import { grouped } from './grouped.js';
import type { Violation } from './rules.js';

/** What a worker may need more at the end of a run than when it had just started: caches and compiled code. */
const GROWTH = { residentBytes: 250_000_000, handles: 20, threads: 8 } as const;

/** The memory of a thread that ended is with the system again after this time. */
const MEMORY_RETURNS_MS = 5_000;

export function auditEnds(history: History): Violation[] {
  const { quiescence, falseReadiness, exits, oddErrors, quarantine } = history;
  const found: [Violation['rule'], string][] = [];
  if (quiescence.reachedMs === null) found.push([7, 'the backlog did not drain after the last fault']);
  for (const what of quiescence.leftovers) found.push([6, what]);
  for (const what of quiescence.unready) found.push([7, `after the last fault ${what}`]);
  for (const { worker, atMs, cutForMs } of falseReadiness) {
    found.push([7, `${worker} called itself ready at ${atMs}, ${cutForMs} ms after its link was cut`]);
  }
  for (const { worker, atMs, reason } of exits) found.push([8, `${worker} ended by itself at ${atMs}: ${reason}`]);
  for (const error of oddErrors) found.push([11, `an add failed with ${error}`]);
  if (quarantine.kept !== quarantine.written) {
    found.push([12, `${quarantine.written} messages could not be read, and ${quarantine.kept} were kept`]);
  }
  for (const key of quarantine.sound) found.push([12, `${key} was quarantined, and can be read`]);
  const calm = history.processes.filter(({ atMs }) => !isHungry(history.faults, atMs));
  for (const what of growthOf(calm)) found.push([10, what]);
  return found.map(([rule, what]) => ({ rule, what }));
}

/** Whether a body was eating memory then, on some worker, or had done so just before. */
function isHungry(faults: History['faults'], atMs: number): boolean {
  return faults.some(
    ({ fault, beganMs, endedMs }) => fault === 'F3' && beganMs <= atMs && atMs <= endedMs + MEMORY_RETURNS_MS,
  );
}

/** Compares the last sample of each process with its first. */
function growthOf(samples: readonly ProcessSample[]): string[] {
  return [...grouped(samples, ({ pid }) => pid).values()].flatMap((own) => {
    const [first, last] = [own[0]!, own.at(-1)!];
    return (Object.keys(GROWTH) as (keyof typeof GROWTH)[]).flatMap((what) => {
      const more = last[what] - first[what];
      return more > GROWTH[what] ? [`${what} of ${first.worker} grew from ${first[what]} to ${last[what]}`] : [];
    });
  });
}
