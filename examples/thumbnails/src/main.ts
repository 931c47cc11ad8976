/**
 * Starts the service. Without `DOCKET_URL` everything is in this process: the web server, an embedded Redis and a worker. With
 * it, this is the web server alone, and workers run wherever there are cores: `npm run worker`.
 */
import { Docket } from 'docket';
import { Worker } from 'docket/worker';
import { buildServer } from './server.js';

const url = process.env.DOCKET_URL || 'memory://thumbnails';
const docket = new Docket({ url });
const worker = process.env.DOCKET_URL
  ? null
  : new Worker(docket, { tasks: new URL('./tasks.js', import.meta.url), threads: 2 });
const server = await buildServer(docket);

const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort());

const address = await server.listen({ port: Number(process.env.PORT ?? 3_000), host: process.env.HOST ?? '127.0.0.1' });
console.log(`${address} takes photos${worker ? '' : `; start workers with "npm run worker"`}`);

if (worker) await worker.runForever({ signal: stopped.signal });
else await new Promise((resolve) => stopped.signal.addEventListener('abort', resolve));
await server.close();
await worker?.close();
await docket.close();
