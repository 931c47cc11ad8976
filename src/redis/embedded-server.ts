/** The thread of an embedded server: listens on the socket it is given, reports that once, and never logs. */

import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { createRedisCommandExecutor, RedisServerState, Resp2Server } from 'js-redis-server/core';

const { path } = workerData as { path: string };
const state = new RedisServerState({ databaseCount: 16 });
const { server } = new Resp2Server({ server: state, executor: createRedisCommandExecutor() });
// Not Resp2Server.listen(): it takes a port and would open it on all interfaces.
await once(server.listen(path), 'listening');
parentPort?.postMessage('listening');
