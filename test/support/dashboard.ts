/** Serves a dashboard for tests, as `docket dashboard` does. */

import type { AddressInfo } from 'node:net';
import { type ServerType, serve } from '@hono/node-server';

export interface Served {
  /** Its address, with a slash at the end. */
  readonly url: string;
  close(): Promise<void>;
}

/** Serves a handler on a free port of this machine. */
export async function serveHandler(
  fetch: (request: Request) => Response | Promise<Response>,
  basePath = '',
): Promise<Served> {
  const server = await new Promise<ServerType>((resolve) => {
    const started = serve({ fetch, port: 0, hostname: '127.0.0.1' }, () => resolve(started));
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${basePath}/`,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      if ('closeAllConnections' in server) server.closeAllConnections();
      await closed;
    },
  };
}
