/** Readings that several pages share: each is made once for all that ask while it is new enough. */

interface Reading<T> {
  readonly value: Promise<T>;
  /** When it was complete; until then it is new. */
  atMs: number;
}

/** More readings than the page offers. Others are made again each time. */
const MOST_READINGS = 8;

export interface Remembered<A, T> {
  read(of: A): Promise<T>;
  /** Has the next caller read again. */
  forget(): void;
}

/**
 * Reads once for each argument, and answers all callers from that until it is too old or forgotten.
 * @param forMs - how long a reading is new enough
 * @param mayBeKept - whether a reading may answer others, too
 */
export function remembered<A extends number, T>(
  forMs: (of: A) => number,
  read: (of: A) => Promise<T>,
  mayBeKept: (value: T) => boolean = () => true,
): Remembered<A, T> {
  const readings = new Map<A, Reading<T>>();
  const readOnce = async (of: A): Promise<T> => {
    const known = readings.get(of);
    if (known && performance.now() - known.atMs <= forMs(of)) return await known.value;
    const reading: Reading<T> = { value: read(of), atMs: Number.POSITIVE_INFINITY };
    readings.delete(of); // so that it is the newest
    readings.set(of, reading);
    if (readings.size > MOST_READINGS) readings.delete(readings.keys().next().value!);
    const forget = () => {
      if (readings.get(of) === reading) readings.delete(of);
    };
    const complete = (value: T) => {
      if (!mayBeKept(value)) forget();
      reading.atMs = performance.now();
    };
    reading.value.then(complete, forget);
    return await reading.value;
  };
  return { read: readOnce, forget: () => readings.clear() };
}
