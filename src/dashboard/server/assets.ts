/** The built page: its files are read once, at the first request, and only they can be asked for. */
import { readdir, readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { ownFile } from '../../core/own-files.js';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Nothing is loaded from elsewhere, and nothing runs or styles the page that is not in a file of it. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

interface Asset {
  readonly body: Blob;
  readonly headers: Readonly<Record<string, string>>;
}

let assets: Promise<ReadonlyMap<string, Asset>> | undefined;

/** Returns a file of the page; `null` when there is none of this path. The empty path is the page itself. */
export async function assetOf(path: string): Promise<Asset | null> {
  assets ??= readAssets();
  assets.catch(() => {
    assets = undefined; // the next request tries again
  });
  return (await assets).get(path === '' ? 'index.html' : path) ?? null;
}

async function readAssets(): Promise<ReadonlyMap<string, Asset>> {
  const folder = ownFile('dashboard/page/');
  const names = await readdir(folder, { recursive: true });
  const found = names.map((name) => name.replaceAll('\\', '/')).filter((name) => TYPES[extname(name)] !== undefined);
  const read = found.map(async (name): Promise<[string, Asset]> => {
    const body = new Blob([Uint8Array.from(await readFile(new URL(name, folder)))]);
    // The names of all files but the page carry a hash of their content.
    const isHashed = name.startsWith('assets/');
    const cacheControl = isHashed ? 'public, max-age=31536000, immutable' : 'no-cache';
    return [name, { body, headers: { 'Content-Type': TYPES[extname(name)]!, 'Cache-Control': cacheControl } }];
  });
  return new Map(await Promise.all(read));
}
