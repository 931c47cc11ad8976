/** The skeleton of the programs that call tasks one at a time, at given moments, and measure how long each call takes. */
import { serve } from './serve.js';
import { sharedClockUs } from './start-times.js';

export interface CallerSettings {
  readonly path: string;
  readonly url: string;
}

/** A stretch of calls with the indexes from `from` on. */
export interface Stretch {
  readonly from: number;
  readonly count: number;
}

export type CallRequest =
  /** Adds tasks at these moments of the shared clock, in microseconds, and never waits for an earlier one. */
  | ({ readonly kind: 'add'; readonly atUs: readonly number[]; readonly keptMs: number } & Stretch)
  /** The same, and waits for the result of each. */
  | ({ readonly kind: 'call'; readonly atUs: readonly number[] } & Stretch)
  /** `callers` at once, each of which waits for its result before it calls again. */
  | ({ readonly kind: 'circle'; readonly callers: number } & Stretch)
  /** `atOnce` adds at a time, as fast as they are confirmed. */
  | ({ readonly kind: 'flood'; readonly atOnce: number; readonly keptMs: number } & Stretch)
  /** Waits for the results of tasks that are due in an hour. */
  | ({ readonly kind: 'open-waits' } & Stretch)
  /** Removes these tasks again. */
  | { readonly kind: 'close-waits' };

export interface Called {
  /** When each call was made, on the shared clock, in microseconds. */
  readonly calledUs: readonly number[];
  /** How long each call took until its result was there, or until its add was confirmed, in microseconds. */
  readonly tookUs: readonly number[];
  /** Duration of the whole stretch. */
  readonly ms: number;
}

export interface Caller {
  add(index: number, keptMs: number): Promise<unknown>;
  /** Adds a task and resolves with its result, which is its index. */
  call(index: number): Promise<unknown>;
  /** Adds a task that is due in an hour, starts to wait for its result, and returns a function that removes the task. */
  openWait(index: number): Promise<() => Promise<unknown>>;
  close(): Promise<unknown>;
}

export async function callWith(open: (settings: CallerSettings) => Caller | Promise<Caller>): Promise<void> {
  await serve<CallerSettings, CallRequest, Called>(async (settings) => {
    const caller = await open(settings);
    let openWaits: (() => Promise<unknown>)[] = [];
    return {
      async answer(request) {
        const startUs = sharedClockUs();
        const calls = new Calls();
        switch (request.kind) {
          case 'add':
            await atMoments(request, (index) => calls.make(() => caller.add(index, request.keptMs)));
            break;
          case 'call':
            await atMoments(request, (index) => calls.make(() => answered(caller, index)));
            break;
          case 'circle':
            await inCircles(request, request.callers, (index) => calls.make(() => answered(caller, index)));
            break;
          case 'flood':
            await inCircles(request, request.atOnce, (index) => calls.make(() => caller.add(index, request.keptMs)));
            break;
          case 'open-waits':
            await inCircles(request, request.count, async (index) => {
              openWaits.push(await caller.openWait(index));
            });
            break;
          case 'close-waits':
            await Promise.all(openWaits.map((close) => close()));
            openWaits = [];
        }
        return { ...(await calls.finished()), ms: (sharedClockUs() - startUs) / 1e3 };
      },
      stop: async () => void (await caller.close()),
    };
  });
}

async function answered(caller: Caller, index: number): Promise<void> {
  const result = await caller.call(index);
  if (result !== index) throw new Error(`call ${index} got the result ${result}`);
}

/** Calls at these moments, whatever became of the earlier calls. */
function atMoments(
  { from, count, atUs }: Stretch & { readonly atUs: readonly number[] },
  call: (index: number) => Promise<void>,
): Promise<void> {
  return new Promise((resolve) => {
    let next = 0;
    const callDue = () => {
      const first = next;
      const nowUs = sharedClockUs();
      while (next < count && atUs[next]! <= nowUs) next += 1;
      // The timer is set before the calls: a call that is sent at the end of its tick would wait for it.
      if (next < count) setTimeout(callDue, Math.ceil((atUs[next]! - nowUs) / 1e3));
      for (let i = first; i < next; i++) void call(from + i);
      if (next === count) resolve();
    };
    callDue();
  });
}

async function inCircles(
  { from, count }: Stretch,
  callers: number,
  call: (index: number) => Promise<void>,
): Promise<void> {
  let next = from;
  const circle = async () => {
    while (next < from + count) await call(next++);
  };
  await Promise.all(Array.from({ length: callers }, circle));
}

/** Measures calls that may overlap. */
class Calls {
  readonly #calledUs: number[] = [];
  readonly #tookUs: number[] = [];
  readonly #pending: Promise<void>[] = [];

  make(call: () => Promise<unknown>): Promise<void> {
    const place = this.#calledUs.push(sharedClockUs()) - 1;
    const made = call().then(() => {
      this.#tookUs[place] = sharedClockUs() - this.#calledUs[place]!;
    });
    made.catch(() => {}); // finished() rejects with it
    this.#pending.push(made);
    return made;
  }

  async finished(): Promise<Omit<Called, 'ms'>> {
    await Promise.all(this.#pending);
    return { calledUs: this.#calledUs, tookUs: this.#tookUs };
  }
}
