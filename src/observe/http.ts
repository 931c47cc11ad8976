/** The little HTTP that health and metrics need: one server per port, GET and HEAD only, no page without a handler. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PortUnavailableError } from '../core/errors.js';

export interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Pages by their paths. */
export type Routes = ReadonlyMap<string, () => Page | Promise<Page>>;

export interface HttpServer {
  /** `http://host:port`, with the port it really has. */
  readonly origin: string;
  close(): Promise<void>;
}

/** A client that sends nothing must not hold a socket for long. */
const SILENCE_MS = 5_000;

/**
 * Listens on a port; 0 takes any that is free.
 * @param option - which option the port comes from, for the error
 * @throws PortUnavailableError when the port is taken or may not be used
 */
export async function serve(routes: Routes, host: string, port: number, option: string): Promise<HttpServer> {
  const server = createServer({ requestTimeout: SILENCE_MS, headersTimeout: SILENCE_MS }, (request, response) => {
    void answer(routes, request, response);
  });
  await listen(server, host, port).catch((error: NodeJS.ErrnoException) => {
    throw new PortUnavailableError(option, host, port, reasonOf(error), { cause: error });
  });
  const { address, family, port: bound } = server.address() as AddressInfo;
  return {
    origin: `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function answer(routes: Routes, request: IncomingMessage, response: ServerResponse): Promise<void> {
  request.resume();
  const { status, contentType, body } = await pageOf(routes, request);
  const length = Buffer.byteLength(body);
  response.writeHead(status, { 'content-type': contentType, 'content-length': length, 'cache-control': 'no-store' });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function pageOf(routes: Routes, { method, url = '' }: IncomingMessage): Promise<Page> {
  const page = routes.get(url.split('?', 1)[0]!);
  if (!page) return text(404, `not found: there is ${[...routes.keys()].join(', ')}`);
  if (method !== 'GET' && method !== 'HEAD') return text(405, 'only GET and HEAD are answered');
  try {
    return await page();
  } catch {
    return text(500, 'the page could not be made'); // what failed may name what is nobody's business here
  }
}

function text(status: number, body: string): Page {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${body}\n` };
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EADDRINUSE') return 'the port is in use';
  if (code === 'EACCES') return 'this user may not listen there';
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return 'no network interface here has this address';
  return message;
}
