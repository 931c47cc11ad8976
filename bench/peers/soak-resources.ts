/** What a peer of the soak holds, as it sees it itself. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface Resources {
  /** Bytes of the main thread's heap that are in use after a full collection. */
  readonly heapBytes: number;
  /** Timers, sockets and other handles that keep the process alive. */
  readonly handles: number;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

export function readResources(): Resources {
  collectGarbage();
  collectGarbage(); // what the first one has finalized
  return { heapBytes: process.memoryUsage().heapUsed, handles: process.getActiveResourcesInfo().length };
}
