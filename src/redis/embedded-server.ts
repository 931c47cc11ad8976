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
import { keepDataInPlace } from './embedded-data.js';
import { shortcutPolicy } from './embedded-shortcuts.js';
import { SORTED_SET_SHORTCUTS } from './embedded-sorted-sets.js';
import { STREAM_SHORTCUTS } from './embedded-streams.js';
import { ManualClock } from './manual-clock.js';

const { path, clock } = workerData as { path: string; clock: SharedArrayBuffer | null };
// The server has no other clock than this one: for TIME, for the ids of streams and for what expires. Its timers stay real.
if (clock) {
  const manual = new ManualClock(clock);
  Date.now = () => manual.nowMs;
}
// The server throws and catches an error for each optional argument that is not there. Nobody reads their stacks.
Error.stackTraceLimit = 0;
// A key that has expired is removed when it is next asked for; looking through all keys only frees their memory.
const state = new RedisServerState({ databaseCount: 16, activeExpiryIntervalMs: 1_000 });
const shortcuts = shortcutPolicy({ ...SORTED_SET_SHORTCUTS, ...STREAM_SHORTCUTS });
const executor = createRedisCommandExecutor({ policies: keepDataInPlace(state) ? [shortcuts] : [] });
// Not its Resp2Server, which would open a port on all interfaces. There, a blocking read also outlives its client: it takes
// the next entries for nobody, and they wait for their lease to end.
const server = createServer((socket) => {
  const { session } = attachSession(new SocketConnectionTransport(socket), { state, executor });
  socket.once('close', () => session.close());
});
await once(server.listen(path), 'listening');
parentPort?.postMessage('listening');
