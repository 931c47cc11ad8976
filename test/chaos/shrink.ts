/**
 * Finds out which faults of a plan a failure needs, by runs with fewer of them. Faults keep their times. A run can fail by chance
 * and pass by chance, so what is found is a plan that did fail, and not always the smallest one.
 */

export interface ShrinkOptions<T> {
  readonly plan: readonly T[];
  /** Runs a part of the plan, and says whether it fails in the same way. */
  readonly fails: (part: readonly T[]) => Promise<boolean>;
  /** How many runs it may take. */
  readonly runs: number;
}

/** Returns the smallest part of the plan that was seen to fail. */
export async function shrink<T>({ plan, fails, runs }: ShrinkOptions<T>): Promise<readonly T[]> {
  let [smallest, pieces, left] = [plan, 2, runs];
  while (smallest.length > 1) {
    const parts = splitInto(smallest, Math.min(pieces, smallest.length));
    const others = parts.length > 2 ? parts.map((part) => smallest.filter((one) => !part.includes(one))) : [];
    let found: readonly T[] | undefined;
    for (const candidate of [...parts, ...others]) {
      if (left === 0) return smallest;
      left -= 1;
      if (!(await fails(candidate))) continue;
      found = candidate;
      break;
    }
    if (found !== undefined) [smallest, pieces] = [found, 2];
    else if (pieces >= smallest.length) return smallest;
    else pieces *= 2;
  }
  return smallest;
}

function splitInto<T>(items: readonly T[], count: number): (readonly T[])[] {
  return Array.from({ length: count }, (_, i) =>
    items.slice(Math.floor((i * items.length) / count), Math.floor(((i + 1) * items.length) / count)),
  );
}
