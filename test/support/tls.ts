/**
 * Servers with TLS, and the authorities that sign their certificates. Keys are made for each test, and removed with their folder.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsOptions } from '../../src/core/server-connection.js';
import { openConnection } from './built.js';
import { freePort } from './ports.js';
import { REDIS_BINARY } from './redis-binary.js';
import { redisProcess } from './servers.js';
import { waitFor } from './wait.js';

/** Why tests with TLS are left out; `null` where they can run. */
export const NO_TLS: string | null =
  REDIS_BINARY === null || !runs('openssl', ['version']) ? 'redis-server or openssl is not installed' : null;

function runs(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A folder with certificates. Each name stands for the files `<name>.crt` and `<name>.key`. */
export interface Certificates {
  readonly folder: string;
  /** Reads a file of the folder. */
  read(file: string): string;
  remove(): void;
}

/** The names for which a certificate of this machine is valid. */
const THIS_MACHINE = 'DNS:localhost,IP:127.0.0.1';

/**
 * Makes two authorities, `ca` and `stranger`, and certificates: `server`, `misnamed` (of a server with another name) and
 * `client` by the one, `intruder` by the other.
 */
export function makeCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'docket-tls-'));
  const make = (name: string, names: string | null, authority: string | null) => {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`];
    const signer = authority === null ? [] : ['-CA', `${authority}.crt`, '-CAkey', `${authority}.key`];
    const extensions = names === null ? [] : ['-addext', `subjectAltName=${names}`];
    const subject = ['-subj', `/CN=${name}.test`, '-days', '2', '-out', `${name}.crt`];
    execFileSync('openssl', ['req', '-x509', ...key, ...signer, ...extensions, ...subject], {
      stdio: 'ignore',
      cwd: folder,
    });
  };
  for (const authority of ['ca', 'stranger']) make(authority, null, null);
  make('server', THIS_MACHINE, 'ca');
  make('misnamed', 'DNS:elsewhere.test', 'ca');
  make('client', 'DNS:client.test', 'ca');
  make('intruder', 'DNS:client.test', 'stranger');
  return {
    folder,
    read: (file) => readFileSync(join(folder, file), 'utf8'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A server, or a few, that only speak TLS. */
export interface TlsServers {
  readonly url: string;
  stop(): Promise<void>;
}

export interface TlsServerOptions {
  /** The certificate of the servers. @default server */
  readonly certificate?: 'server' | 'misnamed';
  /** Whether they ask for a certificate of the client. @default false */
  readonly asksClients?: boolean;
}

export type Topology = 'one server' | 'sentinels' | 'a cluster';

/** Starts one server, or a master with a sentinel, or a cluster of one node. */
export async function startTls(
  topology: Topology,
  certificates: Certificates,
  options: TlsServerOptions = {},
): Promise<TlsServers> {
  const processes: { kill(): Promise<void> }[] = [];
  const start = async (more: Readonly<Record<string, string>>, config?: (port: number) => string): Promise<number> => {
    const port = await freePort();
    const dir = join(certificates.folder, String(port));
    mkdirSync(dir);
    const { certificate = 'server', asksClients = false } = options;
    const settings = {
      port: '0',
      'tls-port': String(port),
      bind: '127.0.0.1',
      dir,
      'tls-cert-file': join(certificates.folder, `${certificate}.crt`),
      'tls-key-file': join(certificates.folder, `${certificate}.key`),
      'tls-ca-cert-file': join(certificates.folder, 'ca.crt'),
      'tls-auth-clients': asksClients ? 'yes' : 'no',
      ...more,
    };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value === '' ? "''" : value]);
    if (config !== undefined) writeFileSync(join(dir, 'sentinel.conf'), config(port));
    const server = redisProcess(config === undefined ? args : [join(dir, 'sentinel.conf'), ...args, '--sentinel']);
    processes.push(server);
    await server.start(config === undefined ? undefined : /\+monitor|Sentinel ID is/);
    return port;
  };
  const stop = async () => void (await Promise.all(processes.map((server) => server.kill())));
  const data = { save: '', appendonly: 'no' };
  try {
    switch (topology) {
      case 'one server':
        return { url: `rediss://127.0.0.1:${await start(data)}`, stop };
      case 'sentinels': {
        const master = await start(data);
        const monitor = `sentinel monitor tests 127.0.0.1 ${master} 1\n`;
        const port = await start({ 'tls-replication': 'yes' }, () => monitor);
        return { url: `rediss+sentinel://127.0.0.1:${port}/tests`, stop };
      }
      case 'a cluster': {
        const busPort = String(await freePort());
        const port = await start({ ...data, 'cluster-enabled': 'yes', 'cluster-port': busPort, 'tls-cluster': 'yes' });
        await giveSlots(`rediss://127.0.0.1:${port}`, certificates);
        return { url: `rediss+cluster://127.0.0.1:${port}`, stop };
      }
    }
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Gives all slots to the only node of a cluster. */
async function giveSlots(url: string, certificates: Certificates): Promise<void> {
  const tls: TlsOptions = {
    ca: certificates.read('ca.crt'),
    cert: certificates.read('client.crt'),
    key: certificates.read('client.key'),
    rejectUnauthorized: false, // its certificate may be one that is refused later
  };
  const redis = await openConnection({ url, connection: { tls } }, 'commands');
  try {
    await redis.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await waitFor(async () => String(await redis.call('CLUSTER', 'INFO')).includes('cluster_state:ok'));
  } finally {
    redis.disconnect();
  }
}
