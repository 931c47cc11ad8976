/**
 * `api/live`: pushes the state of the docket to every open page. One loop looks at the docket for all of them, once a second,
 * and only while a page is open; an event is sent when something has changed.
 */
import type { Hono } from 'hono';
import type { LiveJson, RunningJson, WorkerJson } from '../api.js';
import { eventStream, type Listener, type StreamEvent } from './event-stream.js';
import { problemText, Refusal } from './refusal.js';
import type { Source } from './source.js';

const LOOK_EVERY_MS = 1_000;
const MOST_PAGES = 200;
const LISTED = 100;

const HEADERS = { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' } as const;

export function addLive(app: Hono, source: Source): void {
  const feed = new LiveFeed(source);
  app.get('/api/live', ({ req }) => {
    if (feed.size >= MOST_PAGES) {
      throw new Refusal(503, 'DASHBOARD_BUSY', `${MOST_PAGES} pages are open, which is the most: close some`);
    }
    // The body of an answer to HEAD is dropped unread, so nothing would ever end it.
    const body = req.method === 'HEAD' ? null : eventStream((listener) => feed.join(listener), req.raw.signal);
    return new Response(body, { headers: HEADERS });
  });
}

class LiveFeed {
  readonly #source: Source;
  readonly #listeners = new Set<Listener>();
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;
  #revision = 0;
  /** What was sent last, as text without revision and time; empty before, and while the docket cannot be read. */
  #sent = '';
  #last: LiveJson | null = null;

  constructor(source: Source) {
    this.#source = source;
  }

  get size(): number {
    return this.#listeners.size;
  }

  /** Calls `listener` with the present state and every later one, until the returned function is called. */
  join(listener: Listener): () => void {
    this.#listeners.add(listener);
    if (this.#timer) {
      if (this.#last) listener({ event: 'live', data: JSON.stringify(this.#last) });
    } else {
      this.#timer = setInterval(() => void this.#look(), LOOK_EVERY_MS);
      this.#timer.unref();
      this.#sent = '';
      this.#last = null;
      void this.#look();
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  /** Looks at the docket, unless the last look goes on. */
  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const { taken, ...state } = await readState(this.#source);
      const text = JSON.stringify(state);
      if (text === this.#sent) return;
      this.#sent = text;
      this.#revision += 1;
      this.#last = { revision: this.#revision, taken, ...state };
      this.#tell({ event: 'live', data: JSON.stringify(this.#last) });
    } catch (error) {
      this.#sent = '';
      this.#last = null;
      this.#tell({ event: 'down', data: JSON.stringify({ message: problemText(error) }) });
    } finally {
      this.#isLooking = false;
    }
  }

  #tell(event: StreamEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

async function readState(source: Source): Promise<Omit<LiveJson, 'revision'>> {
  const [snapshot, workers, oldestDue] = await Promise.all([
    source.docket.snapshot({ limit: LISTED }),
    readWorkers(source),
    source.oldestDueMs(),
  ]);
  const { taken, totals, running, pauses } = snapshot;
  const progress = await source.progressOf(running.map(({ key }) => key));
  return {
    taken: taken.getTime(),
    totals,
    oldestDue,
    running: running.map(({ key, task, attempt, priority, worker, since }, i): RunningJson => {
      const { current, total, message } = progress[i] ?? {};
      const shown = current === undefined ? null : { current, total: total!, message: message ?? null };
      return { key, task, attempt, priority, worker, since: since?.getTime() ?? null, progress: shown };
    }),
    pauses: pauses.map(({ task, reason, since }) => ({ task, reason, since: since.getTime() })),
    // Heartbeats change nothing that is worth an event.
    workers: workers.map((worker) => ({ ...worker, lastSeen: Math.floor(worker.lastSeen / 10_000) * 10_000 })),
  };
}

/** Lists the live workers. */
export async function readWorkers(source: Source): Promise<WorkerJson[]> {
  const workers = await source.workers();
  return workers
    .map((worker) => {
      const { name, consumer, threads, concurrency, running, tasks, hasFallback, canClaim, seenMs } = worker;
      const { version = null, nodeVersion = null, isDraining = false } = worker;
      const shared = { name, id: consumer, threads, concurrency, running, tasks, hasFallback };
      return { ...shared, takesWork: canClaim, isDraining, version, nodeVersion, lastSeen: seenMs };
    })
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .slice(0, MOST_WORKERS);
}

const MOST_WORKERS = 500;
