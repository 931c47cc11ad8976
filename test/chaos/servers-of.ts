/** Starts the servers of a run: one that has every write on disk, one behind sentinels with replicas, or a cluster. */
import { startCluster, startSentinels, type TestCluster, type TestSentinels } from '../support/replicated.js';
import { type RestartableRedis, startRestartableRedis } from '../support/servers.js';
import type { Topology } from './topology.js';

export type Servers =
  | { readonly kind: 'single'; readonly redis: RestartableRedis }
  | { readonly kind: 'sentinel'; readonly sentinels: TestSentinels }
  | { readonly kind: 'cluster'; readonly cluster: TestCluster };

export async function startServers(topology: Topology): Promise<Servers> {
  switch (topology) {
    case 'single':
    case 'partitions':
      return { kind: 'single', redis: await startRestartableRedis(true) };
    case 'sentinel':
      return { kind: 'sentinel', sentinels: await startSentinels() };
    case 'cluster':
      return { kind: 'cluster', cluster: await startCluster() };
  }
}

/** The one server of a run; for faults that only such a run can have. */
export function oneServer(servers: Servers): RestartableRedis {
  if (servers.kind !== 'single') throw new Error('this fault is about one server');
  return servers.redis;
}

/** The URL that leads to them, past all relays. */
export function urlOf(servers: Servers): string {
  switch (servers.kind) {
    case 'single':
      return servers.redis.url;
    case 'sentinel':
      return servers.sentinels.url;
    case 'cluster':
      return servers.cluster.url;
  }
}

export async function stopServers(servers: Servers): Promise<void> {
  switch (servers.kind) {
    case 'single':
      return await servers.redis.stop();
    case 'sentinel':
      return await servers.sentinels.stop();
    case 'cluster':
      return await servers.cluster.stop();
  }
}
