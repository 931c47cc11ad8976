/**
 * Starts Redis servers that take over for each other: a master with replicas and sentinels, and a cluster. All are processes
 * on loopback ports, with folders of their own, and end with the process that started them.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Redis } from 'ioredis';
import { closeConnection, openConnection } from './built.js';
import { isExecutable } from './redis-binary.js';
import { type RedisProcess, redisProcess } from './servers.js';
import { waitFor } from './wait.js';

/** The path of `redis-cli`, or null where it is not installed. */
export const REDIS_CLI: string | null =
  (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'redis-cli'))
    .find(isExecutable) ?? null;

/** A server that others can take over from. */
export interface TestNode {
  readonly port: number;
  readonly address: string;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** Starts it again on the same port, if it was killed. */
  start(): Promise<void>;
  /** Sends it a command. */
  ask(...command: (string | number)[]): Promise<unknown>;
}

export interface Started {
  readonly nodes: TestNode[];
  stop(): Promise<void>;
}

/** Starts one server for each list of arguments, on free ports. Those of a list that are functions get the port. */
async function startNodes(
  folder: string,
  settings: readonly ((port: number) => Record<string, string> | Promise<Record<string, string>>)[],
): Promise<Started> {
  const running: { process: RedisProcess; close: () => Promise<void> }[] = [];
  const startOne = async (index: number): Promise<TestNode> => {
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      const dir = join(folder, `${port}`);
      await mkdir(dir);
      const { config, ...own } = await settings[index]!(port);
      if (config !== undefined) await writeFile(join(dir, 'redis.conf'), config);
      const options = { bind: '127.0.0.1', port: String(port), dir, ...own };
      const args = Object.entries(options).flatMap(([name, value]) => [
        `--${name}`,
        ...(value === '' ? [`''`] : value.split(' ')),
      ]);
      const process = redisProcess(config === undefined ? args : [join(dir, 'redis.conf'), ...args, '--sentinel']);
      const isReady = config === undefined ? undefined : /\+monitor|Sentinel ID is/;
      try {
        await process.start(isReady);
      } catch (error) {
        await process.kill();
        if (attempt === 5) throw error; // another process may have taken the port
        continue;
      }
      const { node, close } = nodeOf(port, process, isReady);
      running.push({ process, close });
      return node;
    }
  };
  const stop = async () => {
    await Promise.all(running.map(({ close }) => close()));
    await Promise.all(running.map(({ process }) => process.kill()));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const nodes: TestNode[] = [];
    for (let index = 0; index < settings.length; index++) nodes.push(await startOne(index));
    return { nodes, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function nodeOf(
  port: number,
  process: RedisProcess,
  isReady: RegExp | undefined,
): { node: TestNode; close: () => Promise<void> } {
  let opening: Promise<Redis> | undefined;
  const close = async () => {
    const opened = opening;
    opening = undefined;
    await opened?.then(closeConnection, () => undefined);
  };
  let isKilled = false;
  const node: TestNode = {
    port,
    address: `127.0.0.1:${port}`,
    async kill() {
      isKilled = true;
      await close();
      await process.kill();
    },
    async start() {
      if (!isKilled) return;
      isKilled = false;
      await process.start(isReady);
    },
    async ask(...command) {
      opening ??= openConnection(`redis://127.0.0.1:${port}`, 'producer');
      const redis = await opening.catch(async (error: unknown) => {
        await close();
        throw error;
      });
      return await redis.call(...(command.map(String) as [string, ...string[]]));
    },
  };
  return { node, close };
}

/** A master, its replicas, and sentinels that watch them. */
export interface TestSentinels {
  readonly url: string;
  readonly name: string;
  readonly nodes: readonly TestNode[];
  readonly sentinels: readonly TestNode[];
  /** The server that is the master now. */
  master(): Promise<TestNode>;
  /** Starts what was killed, and waits until there is one master, all others replicate it, and all sentinels know that. */
  healthy(): Promise<void>;
  stop(): Promise<void>;
}

const REPLICATED = { save: '', appendonly: 'no', 'repl-diskless-sync-delay': '0', 'repl-ping-replica-period': '1' };

/** Sentinels look every second or every ten; tests would wait for that. */
const SENTINEL_PERIODS = ['info-period', 500, 'publish-period', 300, 'ping-period', 200, 'ask-period', 300];

/** Starts a master, two replicas and three sentinels. */
export async function startSentinels(): Promise<TestSentinels> {
  const folder = await mkdtemp(join(tmpdir(), 'docket-sentinels-'));
  let masterPort = 0;
  const name = 'tests';
  const server = (port: number) => {
    masterPort ||= port;
    return { ...REPLICATED, ...(port !== masterPort && { replicaof: `127.0.0.1 ${masterPort}` }) };
  };
  const sentinel = () => ({
    config: [
      `sentinel monitor ${name} 127.0.0.1 ${masterPort} 2`,
      `sentinel down-after-milliseconds ${name} 1000`,
      `sentinel failover-timeout ${name} 4000`,
    ].join('\n'),
  });
  const { nodes: all, stop } = await startNodes(folder, [server, server, server, sentinel, sentinel, sentinel]);
  const [nodes, sentinels] = [all.slice(0, 3), all.slice(3)];
  const master = async () => {
    for (const sentinel of sentinels) {
      const address = (await sentinel.ask('SENTINEL', 'get-master-addr-by-name', name).catch(() => null)) as
        | string[]
        | null;
      const found = nodes.find(({ port }) => String(port) === address?.[1]);
      if (found) return found;
    }
    throw new Error('no sentinel names a master');
  };
  const healthy = async () => {
    await Promise.all(all.map((one) => one.start()));
    await waitFor(
      async () => {
        const { port, ask } = await master();
        const info = String(await ask('INFO', 'replication'));
        if (!info.includes('role:master') || (info.match(/state=online/g) ?? []).length !== 2) return false;
        const views = sentinels.map(async (one) => {
          const fields = (await one.ask('SENTINEL', 'master', name)) as string[];
          const field = (name: string) => fields[fields.indexOf(name) + 1];
          const isSound = field('flags') === 'master' && field('port') === String(port);
          return isSound && field('num-other-sentinels') === '2' && Number(field('num-slaves')) >= 2;
        });
        return (await Promise.all(views)).every(Boolean);
      },
      { timeoutMs: 60_000 },
    );
  };
  try {
    for (const one of sentinels) await one.ask('SENTINEL', 'DEBUG', ...SENTINEL_PERIODS).catch(() => null); // from Redis 7 on
    await healthy();
  } catch (error) {
    await stop();
    throw error;
  }
  const url = `redis+sentinel://${sentinels.map(({ address }) => address).join(',')}/${name}`;
  return { url, name, nodes, sentinels, master, healthy, stop };
}

/** A cluster of three masters with a replica each. */
export interface TestCluster {
  readonly url: string;
  readonly nodes: readonly TestNode[];
  /** The master that has the slot of a key now. */
  owner(key: string): Promise<TestNode>;
  /** A master that does not have it. */
  stranger(key: string): Promise<TestNode>;
  /** A replica of the node. */
  replicaOf(node: TestNode): Promise<TestNode>;
  slotOf(key: string): Promise<number>;
  idOf(node: TestNode): Promise<string>;
  /** Starts what was killed, and waits until all slots are served, each master has its replica, and all nodes agree on that. */
  healthy(): Promise<void>;
  /** Begins to move the slot of a key: the old owner is migrating, the new one importing. */
  beginMove(
    key: string,
    to: TestNode,
  ): Promise<{ readonly from: TestNode; moveKeys(count: number): Promise<number>; end(): Promise<void> }>;
  stop(): Promise<void>;
}

const SLOTS = 16_384;
const MASTERS = 3;

function settingsOfNodes(count: number): (() => Promise<Record<string, string>>)[] {
  const one = async () => ({
    ...REPLICATED,
    'cluster-enabled': 'yes',
    'cluster-port': String(await freePort()),
    'cluster-node-timeout': '2000',
    'cluster-replica-validity-factor': '0',
    'cluster-allow-replica-migration': 'no',
    'cluster-require-full-coverage': 'yes',
  });
  return Array.from({ length: count }, () => one);
}

/** Starts nodes that do not know each other and have no slots. */
export async function startLoneNodes(count: number): Promise<Started> {
  return await startNodes(await mkdtemp(join(tmpdir(), 'docket-nodes-')), settingsOfNodes(count));
}

/** Starts three masters, each with a replica unless `hasReplicas` is false. */
export async function startCluster({ hasReplicas = true } = {}): Promise<TestCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'docket-cluster-'));
  const { nodes, stop } = await startNodes(folder, settingsOfNodes(hasReplicas ? 2 * MASTERS : MASTERS));
  try {
    await joinNodes(nodes);
  } catch (error) {
    await stop();
    throw error;
  }
  const askAny = async (...command: (string | number)[]) => {
    for (const node of nodes) {
      const reply = await node.ask(...command).catch(() => null);
      if (reply !== null) return reply;
    }
    throw new Error('no node answers');
  };
  const byPort = (port: unknown) => nodes.find((node) => String(node.port) === String(port))!;
  const slotOf = async (key: string) => Number(await askAny('CLUSTER', 'KEYSLOT', key));
  const ranges = async () => (await askAny('CLUSTER', 'SLOTS')) as [number, number, ...[string, number, string][]][];
  const rangeOf = async (key: string) => {
    const slot = await slotOf(key);
    return (await ranges()).find(([first, last]) => first <= slot && slot <= last)!;
  };
  const idOf = async (node: TestNode) => String(await node.ask('CLUSTER', 'MYID'));
  const owner = async (key: string) => byPort((await rangeOf(key))[2]![1]);
  const stranger = async (key: string) => {
    const { port } = await owner(key);
    const masters = (await ranges()).map(([, , master]) => byPort(master![1]));
    return masters.find((node) => node.port !== port)!;
  };
  const replicaOf = async ({ port }: TestNode) => {
    const range = (await ranges()).find(([, , master]) => master![1] === port)!;
    return byPort(range[3]![1]);
  };
  const cluster: TestCluster = {
    url: `redis+cluster://${nodes.map(({ address }) => address).join(',')}`,
    nodes,
    owner,
    stranger,
    replicaOf,
    slotOf,
    idOf,
    healthy: () => healthyCluster(nodes),
    async beginMove(key, to) {
      const [from, slot] = [await owner(key), await slotOf(key)];
      const [fromId, toId] = [await idOf(from), await idOf(to)];
      await to.ask('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
      await from.ask('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
      return {
        from,
        async moveKeys(count) {
          const keys = (await from.ask('CLUSTER', 'GETKEYSINSLOT', slot, count)) as string[];
          if (keys.length > 0) await from.ask('MIGRATE', '127.0.0.1', to.port, '', 0, 5_000, 'KEYS', ...keys);
          return keys.length;
        },
        async end() {
          for (const node of [to, from]) await node.ask('CLUSTER', 'SETSLOT', slot, 'NODE', toId);
        },
      };
    },
    stop,
  };
  return cluster;
}

async function joinNodes(nodes: readonly TestNode[]): Promise<void> {
  const [first] = nodes;
  for (const [i, node] of nodes.entries()) await node.ask('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
  for (const [i, node] of nodes.slice(0, MASTERS).entries()) {
    const [begin, end] = [Math.floor((i * SLOTS) / MASTERS), Math.floor(((i + 1) * SLOTS) / MASTERS) - 1];
    await node.ask('CLUSTER', 'ADDSLOTSRANGE', begin, end);
  }
  for (const { port } of nodes.slice(1)) {
    const bus = String(await nodes.find((node) => node.port === port)!.ask('CONFIG', 'GET', 'cluster-port')).split(
      ',',
    )[1]!;
    await first!.ask('CLUSTER', 'MEET', '127.0.0.1', port, bus);
  }
  const known = async (node: TestNode) => String(await node.ask('CLUSTER', 'INFO'));
  await waitFor(
    async () => {
      const infos = await Promise.all(nodes.map(known));
      return infos.every((info) => info.includes(`cluster_known_nodes:${nodes.length}`));
    },
    { timeoutMs: 60_000 },
  );
  for (const [i, replica] of nodes.slice(MASTERS).entries()) {
    const id = String(await nodes[i]!.ask('CLUSTER', 'MYID'));
    await waitFor(async () => (await replica.ask('CLUSTER', 'REPLICATE', id)) === 'OK'); // it may not have met the master yet
  }
  await healthyCluster(nodes);
}

async function healthyCluster(nodes: readonly TestNode[]): Promise<void> {
  await Promise.all(nodes.map((one) => one.start()));
  const hasReplicas = nodes.length > MASTERS;
  await waitFor(
    async () => {
      const views = await Promise.all(
        nodes.map(async (node) => {
          const ranges = (await node.ask('CLUSTER', 'SLOTS')) as [number, number, ...[string, number, string][]][];
          const isOk = String(await node.ask('CLUSTER', 'INFO')).includes('cluster_state:ok');
          const role = String(await node.ask('INFO', 'replication'));
          const isLinked = role.includes('role:master')
            ? !hasReplicas || role.includes('state=online')
            : role.includes('master_link_status:up');
          const covered = ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
          const isReplicated = !hasReplicas || ranges.every((range) => range.length === 4);
          const view = JSON.stringify(ranges.map(([first, last, master]) => [first, last, master![1]]).sort());
          return isOk && isLinked && covered === SLOTS && isReplicated ? view : null;
        }),
      );
      return views[0] !== null && views.every((view) => view === views[0]);
    },
    { timeoutMs: 60_000 },
  );
}

/** Runs `redis-cli` to its end, and returns what it wrote. */
export async function redisCli(...args: string[]): Promise<string> {
  const child = spawn(REDIS_CLI!, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      output += text;
    });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`redis-cli ${args.join(' ')} ended with ${code}:\n${output}`);
  return output;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
