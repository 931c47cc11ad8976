/**
 * Ends the process that loads it when its standard input ends. So no worker outlives the driver of the suite, however that ends.
 */
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  process.stdin.on('end', () => process.kill(process.pid, 'SIGKILL')).resume();
  (process.stdin as unknown as { unref(): void }).unref();
}
