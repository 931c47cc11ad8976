/** A cluster for the bench alone: masters without replicas on ports of the loopback interface, removed with the bench. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AdminConnection, makeFolder, type Server, startServer } from './redis-server.js';

const SLOTS = 16_384;
const HOST = '127.0.0.1';
const JOINED_WITHIN_MS = 30_000;

export interface BenchCluster extends AsyncDisposable {
  readonly url: string;
  /** The bench's own connections, one to each master. */
  readonly masters: readonly AdminConnection[];
  /** Returns the number of the master that has a key. */
  masterOf(key: string): Promise<number>;
  /** Empties all masters. */
  reset(): Promise<void>;
}

/** Starts a cluster in which each of the masters has an equal part of the slots. */
export async function startCluster(size: number): Promise<BenchCluster> {
  const servers: Server[] = [];
  const ports: number[] = [];
  const busPorts: number[] = [];
  const stop = async () => {
    for (const server of servers) await server[Symbol.asyncDispose]();
  };
  try {
    for (let i = 0; i < size; i++) {
      const [port, busPort] = [await freePort(), await freePort()];
      const own = ['--bind', HOST, '--port', `${port}`, '--cluster-enabled', 'yes', '--cluster-port', `${busPort}`];
      servers.push(await startServer(makeFolder(), own, { host: HOST, port }));
      ports.push(port);
      busPorts.push(busPort);
    }
    const masters = servers.map(({ admin }) => admin);
    await join(masters, ports[0]!, busPorts[0]!);
    return {
      url: `redis+cluster://${ports.map((port) => `${HOST}:${port}`).join(',')}`,
      masters,
      async masterOf(key) {
        const slot = await masters[0]!.cluster('KEYSLOT', key);
        return masters.findIndex((_, i) => slot < firstSlot(i + 1, size));
      },
      async reset() {
        for (const master of masters) await master.flushall('SYNC');
      },
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function firstSlot(master: number, size: number): number {
  return Math.ceil((master * SLOTS) / size);
}

/** Gives the masters their slots, introduces them to the first, which has these ports, and waits until all agree. */
async function join(masters: readonly AdminConnection[], port: number, busPort: number): Promise<void> {
  const size = masters.length;
  for (const [i, master] of masters.entries()) {
    await master.cluster('ADDSLOTSRANGE', firstSlot(i, size), firstSlot(i + 1, size) - 1);
    if (i > 0) await master.cluster('MEET', HOST, port, busPort);
  }
  const deadline = performance.now() + JOINED_WITHIN_MS;
  for (const master of masters) {
    while (!(await knowsAll(master, size))) {
      if (performance.now() > deadline) throw new Error('the masters of the cluster did not find each other');
      await sleep(50);
    }
  }
}

/** Whether a master knows the owner of every slot, and every other master. */
async function knowsAll(master: AdminConnection, size: number): Promise<boolean> {
  const info = String(await master.cluster('INFO'));
  return info.includes('cluster_state:ok') && info.includes(`cluster_size:${size}\r`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
