/** Reads data for a page, and reads it again when the docket has changed. */
import { useEffect, useState } from 'preact/hooks';
import { changes, get, type Parameters } from './api.js';
import { live } from './live.js';

/** The shortest time between two readings, however often the docket changes. */
const EVERY_MS = 2_000;

export interface Data<T> {
  readonly data: T | null;
  readonly error: Error | null;
}

/** @param everyMs - the shortest time between two readings; 0 for one reading only */
export function useData<T>(name: string, parameters: Parameters = {}, everyMs = EVERY_MS): Data<T> {
  const id = JSON.stringify([name, parameters]);
  return useReading<T>(id, (signal) => get<T>(name, parameters, signal), everyMs);
}

/** The same for what takes several requests: whatever `read` returns, which depends on nothing but `id`. */
export function useReading<T>(id: string, read: (signal: AbortSignal) => Promise<T>, everyMs: number): Data<T> {
  const [state, setState] = useState<Data<T> & { readonly id: string }>(NONE);
  useEffect(() => {
    const ending = new AbortController();
    let readMs = 0;
    let reading = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const readNow = async () => {
      readMs = performance.now();
      reading += 1;
      const mine = reading;
      const isLate = () => ending.signal.aborted || mine < reading; // a newer reading is on its way
      try {
        const data = await read(ending.signal);
        if (!isLate()) setState({ id, data, error: null });
      } catch (error) {
        if (!isLate()) setState((last) => ({ id, data: last.id === id ? last.data : null, error: error as Error }));
      }
    };
    void readNow();
    const readLater = () => {
      timer ??= setTimeout(
        () => {
          timer = undefined;
          void readNow();
        },
        Math.max(0, readMs + everyMs - performance.now()),
      );
    };
    // A change that was made here is shown at once.
    const stops = everyMs > 0 ? [live.subscribe(readLater), changes.subscribe(() => void readNow())] : [];
    return () => {
      ending.abort();
      clearTimeout(timer);
      for (const stop of stops) stop();
    };
  }, [id, everyMs]);
  return state.id === id ? state : NONE;
}

const NONE = { id: '', data: null, error: null };
