/** Readings that several pages share: each is made once for all that ask while it is new enough. */

interface Reading<T> {
  readonly value: Promise<T>;
  /** When it was complete; until then it is new. */
  atMs: number;
}

/** More than the page offers. Whoever asks for others has them read anew. */
const MOST_READINGS = 8;

/**
 * Returns a function that reads once for each argument, and answers all callers from that until it is too old.
 * @param forMs - how long a reading is new enough
 */
export function remembered<A extends number, T>(forMs: (of: A) => number, read: (of: A) => Promise<T>) {
  const readings = new Map<A, Reading<T>>();
  return async (of: A): Promise<T> => {
    const known = readings.get(of);
    if (known && performance.now() - known.atMs <= forMs(of)) return await known.value;
    const reading: Reading<T> = { value: read(of), atMs: Number.POSITIVE_INFINITY };
    readings.delete(of); // so that it is the newest
    readings.set(of, reading);
    if (readings.size > MOST_READINGS) readings.delete(readings.keys().next().value!);
    const complete = () => {
      reading.atMs = performance.now();
    };
    const forget = () => {
      if (readings.get(of) === reading) readings.delete(of);
    };
    reading.value.then(complete, forget);
    return await reading.value;
  };
}
