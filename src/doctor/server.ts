/** Checks the server: its version, role and clock, and settings that lose work. */
import type { Redis } from 'ioredis';
import { spanText } from '../core/text.js';
import { isForbidden } from '../redis/reply-errors.js';
import { parseRedisUrl } from '../redis/url.js';
import { type Finding, fail, ok, warn } from './finding.js';

/** The fields of INFO, and settings as `config.<name>` if the user may read them. */
export type ServerFacts = ReadonlyMap<string, string>;

/** Reads the facts; `null` when the user may not use INFO. Managed servers have no CONFIG. */
export async function readFacts(redis: Redis): Promise<ServerFacts | null> {
  try {
    const info = await redis.info();
    const facts = [...info.matchAll(/^([a-z0-9_]+):(.*?)\r?$/gm)].map(([, name, value]) => [name!, value!] as const);
    return new Map([...facts, ...(await readSettings(redis))]);
  } catch {
    return null;
  }
}

async function readSettings(redis: Redis): Promise<[string, string][]> {
  const names = ['save', 'appendfsync', 'stop-writes-on-bgsave-error', 'cluster-require-full-coverage'];
  const replies = await Promise.all(
    names.map((name) => (redis.call('CONFIG', 'GET', name) as Promise<string[]>).catch(() => [])),
  );
  return replies.flatMap(([name, value]) => (name === undefined ? [] : [[`config.${name}`, value ?? '']]));
}

/** Makes all checks that need only the facts. */
export function checkServer(facts: ServerFacts): Finding[] {
  return [checkVersion(facts), checkRole(facts), checkEviction(facts), checkMemory(facts), checkPersistence(facts)];
}

/**
 * Whether the URL leads to the master after a failover, where the server has what it takes; `null` for one server.
 * @param node - the address of the master that was found
 */
export function checkTopology(
  facts: ServerFacts,
  { url, node }: { readonly url: string; readonly node: string },
): Finding | null {
  const { kind } = parseRedisUrl(url);
  if (kind === 'sentinel') return ok('topology', `the master was found by Sentinel: ${node}`);
  if (kind === 'cluster') return ok('topology', `the master was found in the cluster: ${node}`);
  if (facts.get('cluster_enabled') !== '1') return null;
  return warn(
    'topology',
    'the server is a node of a cluster, and its redis:// URL is not followed when the keys of this docket move',
    'give the URL as redis+cluster:// to all producers and workers',
  );
}

/** Whether the loss of one master of a cluster stops the others, too; `null` where there is no cluster, or it cannot be read. */
export function checkCoverage(facts: ServerFacts, node: string): Finding | null {
  const setting = facts.get('config.cluster-require-full-coverage');
  if (facts.get('cluster_enabled') !== '1' || setting === undefined) return null;
  const detail = `cluster-require-full-coverage ${setting}${node === '' ? '' : ` on ${node}`}`;
  if (setting === 'no') return ok('coverage', detail);
  return warn(
    'coverage',
    `${detail}: while one master is down and has no successor, all masters refuse all commands`,
    'run CONFIG SET cluster-require-full-coverage no on all nodes, and change their configuration',
  );
}

function checkVersion(facts: ServerFacts): Finding {
  const valkey = facts.get('valkey_version');
  const [name, version, minimum] =
    valkey === undefined ? ['Redis', facts.get('redis_version') ?? '0', '7.0'] : ['Valkey', valkey, '7.2'];
  if (isAtLeast(version, minimum)) return ok('version', `${name} ${version}`);
  return fail(
    'version',
    `${name} ${version} is older than ${minimum}: while its memory is full, workers cannot claim or complete anything`,
    'use Redis 7.0 or newer, or Valkey 7.2 or newer',
  );
}

function isAtLeast(version: string, minimum: string): boolean {
  const [[major = 0, minor = 0], [minimumMajor = 0, minimumMinor = 0]] = [version, minimum].map((text) =>
    text.split('.').map(Number),
  ) as [number[], number[]];
  return major > minimumMajor || (major === minimumMajor && minor >= minimumMinor);
}

/** Whether the server is a replica, which refuses all that docket writes. */
export function isReplica(facts: ServerFacts): boolean {
  return facts.get('role') === 'slave';
}

function checkRole(facts: ServerFacts): Finding {
  if (!isReplica(facts)) {
    const replicas = Number(facts.get('connected_slaves') ?? 0);
    return ok('role', `${facts.get('role') ?? 'unknown'}, ${replicas === 1 ? '1 replica' : `${replicas} replicas`}`);
  }
  return fail('role', 'the server is a replica, which refuses writes', 'give the URL of the master');
}

/** An evicted key is lost work. Once `maxmemory` is set, it is a question of time. */
function checkEviction(facts: ServerFacts): Finding {
  const policy = facts.get('maxmemory_policy') ?? 'unknown';
  if (policy === 'noeviction') return ok('eviction', 'noeviction');
  const advice = 'run CONFIG SET maxmemory-policy noeviction, and change the configuration of the server';
  if (!policy.startsWith('allkeys')) {
    return warn('eviction', `${policy}: results and limits may be evicted early when memory is short`, advice);
  }
  const isLimited = facts.get('maxmemory') !== '0';
  if (!isLimited) return warn('eviction', `${policy}: loses work as soon as maxmemory is set`, advice);
  return fail('eviction', `${policy}: loses work when memory is short`, advice);
}

function checkMemory(facts: ServerFacts): Finding {
  const [used, limit] = [facts.get('used_memory'), facts.get('maxmemory')].map(Number) as [number, number];
  if (!(limit > 0)) {
    const advice =
      'set maxmemory below the memory of the machine: a full server then refuses adds, and still runs the work that it has';
    return warn(
      'memory',
      `${megabytes(used)} in use, no limit: the operating system may kill the server when memory is short`,
      advice,
    );
  }
  const detail = `${megabytes(used)} of ${megabytes(limit)} in use`;
  const advice = 'raise maxmemory, shorten executionTtl, or add workers: a full server refuses adds';
  if (used >= limit) return fail('memory', detail, advice);
  return used >= limit * 0.8 ? warn('memory', detail, advice) : ok('memory', detail);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

function checkPersistence(facts: ServerFacts): Finding {
  const isAppending = facts.get('aof_enabled') === '1';
  const [save, fsync] = [facts.get('config.save'), facts.get('config.appendfsync')];
  if (isAppending && facts.get('aof_last_write_status') === 'err') {
    return fail(
      'persistence',
      'the last write of the append-only file failed',
      'look at the log and the disk of the server',
    );
  }
  if (facts.get('rdb_last_bgsave_status') === 'err' && facts.get('config.stop-writes-on-bgsave-error') !== 'no') {
    return fail(
      'persistence',
      'the last snapshot failed, so writes are refused',
      'look at the log and the disk of the server',
    );
  }
  const advice = 'run CONFIG SET appendonly yes, and change the configuration of the server';
  if (isAppending && fsync === 'no') {
    return warn(
      'persistence',
      'appendonly, flushed when the operating system decides: a crash loses work',
      'run CONFIG SET appendfsync everysec, and change the configuration of the server',
    );
  }
  if (isAppending) return ok('persistence', `appendonly${fsync ? `, appendfsync ${fsync}` : ''}`);
  if (save === undefined) return warn('persistence', 'no append-only file: a crash may lose work', advice);
  if (save === '') return warn('persistence', 'none: a restart loses all work', advice);
  return warn('persistence', `snapshots only (save ${save}): a crash loses all work after the last one`, advice);
}

/** Compares the clocks: producers compute dates by their own, and work becomes due by that of the server. */
export async function checkClock(redis: Redis): Promise<Finding> {
  const before = Date.now();
  const time = await redis.time().catch((error: unknown) => {
    if (isForbidden(error)) return null;
    throw error;
  });
  if (!time) {
    return fail('clock', 'the user may not use TIME, which every script of docket needs', 'allow the command: +time');
  }
  const [seconds, microseconds] = time;
  const after = Date.now();
  const serverMs = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
  const aheadMs = Math.round(serverMs - (before + after) / 2);
  const detail = `the server's clock is ${spanText(Math.abs(aheadMs))} ${aheadMs < 0 ? 'behind' : 'ahead'}`;
  if (Math.abs(aheadMs) <= TOLERATED_MS + (after - before) / 2) return ok('clock', detail);
  return warn('clock', detail, 'synchronise the clocks (NTP): work becomes due by the clock of the server');
}

const TOLERATED_MS = 1_000;
