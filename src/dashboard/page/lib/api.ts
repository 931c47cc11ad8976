/** Calls the server. All paths are relative, so the page works wherever it is mounted. */
import type { ChangedJson, ErrorJson, SessionJson } from '../../api.js';
import { Store } from './store.js';

export const session = new Store<SessionJson | null>(null);

/** Counts the changes that were made here: after each, what is shown is read again at once. */
export const changes = new Store(0);

/** An answer that is an error. */
class ApiError extends Error {
  readonly code: string;

  constructor({ code, message }: ErrorJson) {
    super(message);
    this.code = code;
  }
}

export type Parameters = Readonly<Record<string, string | number | null | undefined>>;

export async function get<T>(name: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<T> {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const search = new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
  const init: RequestInit = { headers: { accept: 'application/json' } };
  return await answer<T>(fetch(`./api/${name}${search && `?${search}`}`, signal ? { ...init, signal } : init));
}

export async function loadSession(): Promise<void> {
  session.set(await get<SessionJson>('session'));
}

/** Makes a change, and returns what came of it. The CSRF token may be of a server that was started again since. */
export async function change(name: string, body: object): Promise<ChangedJson> {
  try {
    return await send(name, body);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 'DASHBOARD_CSRF') throw error;
    await loadSession();
    return await send(name, body);
  }
}

async function send(name: string, body: object): Promise<ChangedJson> {
  const headers = { 'content-type': 'application/json', 'x-docket-csrf': session.value?.csrf ?? '' };
  const sent = fetch(`./api/${name}`, { method: 'POST', headers, body: JSON.stringify(body) });
  const changed = await answer<ChangedJson>(sent);
  changes.set(changes.value + 1);
  return changed;
}

async function answer<T>(sent: Promise<Response>): Promise<T> {
  const response = await sent.catch((error: unknown) => {
    if (error instanceof DOMException) throw error;
    throw new ApiError({ code: 'OFFLINE', message: 'The dashboard does not answer.' });
  });
  const body = await response.json().catch(() => null);
  // An answer that took long had begun before it was known whether it is an error.
  if (response.ok && body !== null && !('code' in (body as object))) return body as T;
  throw new ApiError((body as ErrorJson | null) ?? { code: String(response.status), message: response.statusText });
}
