/** The address within the page: all of it is after the `#`, so that the server knows one page only. */
import { Store } from './store.js';

export interface Route {
  /** The parts of the path, decoded. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

export const route = new Store<Route>(present());

addEventListener('hashchange', () => route.set(present()));

function present(): Route {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  return { path: path.split('/').filter(Boolean).map(decoded), query: new URLSearchParams(query) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

type Query = Readonly<Record<string, string | null | undefined>>;

/** Makes the address of a page. */
export function href(path: readonly string[], query: Query = {}): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const search = new URLSearchParams(given).toString();
  return `#/${path.map(encodeURIComponent).join('/')}${search && `?${search}`}`;
}

export function go(path: readonly string[], query: Query = {}): void {
  location.hash = href(path, query);
}
