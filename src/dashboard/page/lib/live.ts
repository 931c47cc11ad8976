/** The state of the docket as the server pushes it, and the clock of the server. */
import type { LiveJson } from '../../api.js';
import { Store } from './store.js';

/** `live` while events come; `down` when Redis cannot be read; `offline` when the server of the dashboard does not answer. */
export type Link = 'connecting' | 'live' | 'down' | 'offline';

export const live = new Store<LiveJson | null>(null);
export const link = new Store<Link>('connecting');
/** What is wrong when the link is down. */
export const problem = new Store('');

/** How far the clock of the server is ahead of that of this machine. */
let aheadMs = 0;

/** The time by the clock of the server, as far as it is known. */
export function nowMs(): number {
  return Date.now() + aheadMs;
}

/** Counts seconds, so that relative times stay right. */
export const clock = new Store(0);

let source: EventSource | undefined;

export function startLive(): void {
  setInterval(() => {
    if (!document.hidden) clock.set(clock.value + 1);
  }, 1_000);
  connect();
}

function connect(): void {
  source?.close();
  source = new EventSource('./api/live');
  source.addEventListener('live', (event) => {
    const state = JSON.parse(event.data) as LiveJson;
    aheadMs = state.taken - Date.now();
    live.set(state);
    link.set('live');
  });
  source.addEventListener('down', (event) => {
    problem.set((JSON.parse(event.data) as { message: string }).message);
    link.set('down');
  });
  source.addEventListener('error', () => {
    link.set('offline');
    // The browser connects again by itself, unless the server refused.
    if (source?.readyState === EventSource.CLOSED) setTimeout(connect, 3_000);
  });
}
