/** The cluster of three masters that all suites of a process share. */
import { startCluster, type TestCluster } from './replicated.js';
import type { TestServer } from './servers.js';

let shared: Promise<TestCluster> | undefined;

/** Returns it, emptied. The first call starts it; it ends with the process. */
export async function sharedCluster(): Promise<TestServer> {
  shared ??= startCluster({ hasReplicas: false });
  const { url, nodes, stop } = await shared;
  for (const node of nodes) await node.ask('FLUSHALL');
  return { url, kind: 'redis', stop };
}
