/**
 * The thread of an embedded server: listens on the socket it is given, reports that once, and never logs. Owns the rule
 * that nothing a client waits for outlives its connection.
 */

import { once } from 'node:events';
import { createServer } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import {
  attachSession,
  createRedisCommandExecutor,
  RedisServerState,
  SocketConnectionTransport,
} from 'js-redis-server/core';

const { path } = workerData as { path: string };
const state = new RedisServerState({ databaseCount: 16 });
const executor = createRedisCommandExecutor();
// Not its Resp2Server, which would open a port on all interfaces. There, a blocking read also outlives its client: it takes
// the next entries for nobody, and they wait for their lease to end.
const server = createServer((socket) => {
  const { session } = attachSession(new SocketConnectionTransport(socket), { state, executor });
  socket.once('close', () => session.close());
});
await once(server.listen(path), 'listening');
parentPort?.postMessage('listening');
