/** The HTTP server of the health and metrics ports: one for each port, GET and HEAD only. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PortUnavailableError } from '../core/errors.js';

export interface HttpReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** The handlers of requests, by path. */
export type Routes = ReadonlyMap<string, () => HttpReply | Promise<HttpReply>>;

export interface HttpServer {
  /** `http://host:port`, with the actual port when 0 was asked for. */
  readonly origin: string;
  close(): Promise<void>;
}

/** How long a client may take to send its request: an idle one must not hold a socket. */
const REQUEST_TIMEOUT_MS = 5_000;

/**
 * Listens on a port; 0 takes any free one.
 * @param option - name of the option that has the port, for the error
 * @throws PortUnavailableError when the port is taken or may not be used
 */
export async function serve(routes: Routes, host: string, port: number, option: string): Promise<HttpServer> {
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
    (request, response) => {
      void answer(routes, request, response);
    },
  );
  await listen(server, host, port).catch((error: NodeJS.ErrnoException) => {
    throw new PortUnavailableError(option, host, port, error);
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
  const { status, contentType, body } = await replyTo(routes, request);
  const length = Buffer.byteLength(body);
  response.writeHead(status, { 'content-type': contentType, 'content-length': length, 'cache-control': 'no-store' });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function replyTo(routes: Routes, { method, url = '' }: IncomingMessage): Promise<HttpReply> {
  const handler = routes.get(url.split('?', 1)[0]!);
  if (!handler) return text(404, `not found: the pages here are ${[...routes.keys()].join(', ')}`);
  if (method !== 'GET' && method !== 'HEAD') return text(405, 'only GET and HEAD are allowed');
  try {
    return await handler();
  } catch {
    return text(500, 'the page could not be generated'); // no details: anybody may read this port
  }
}

function text(status: number, body: string): HttpReply {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${body}\n` };
}
