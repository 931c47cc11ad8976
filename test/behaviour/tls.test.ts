/** Servers with TLS: which certificates are trusted, which are refused, and what is said then. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Docket, type ServerConnectionOptions } from 'docket';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startCommand, TASKS } from '../support/fleet.js';
import { runDocket, spawnDocket } from '../support/shell.js';
import {
  type Certificates,
  makeCertificates,
  NO_TLS,
  startTls,
  type TlsServers,
  type Topology,
} from '../support/tls.js';

describe.skipIf(NO_TLS !== null)(`with TLS${NO_TLS ? ` [left out: ${NO_TLS}]` : ''}`, () => {
  let certificates: Certificates;

  beforeAll(() => {
    certificates = makeCertificates();
  });
  afterAll(() => certificates.remove());

  /** Writes a connection file that names files beside it, and returns the variable that leads to it. */
  function fileWith(tls: Readonly<Record<string, string>>): { DOCKET_CONNECTION: string } {
    const file = join(certificates.folder, `${Object.values(tls).join('-') || 'nothing'}.json`);
    writeFileSync(file, JSON.stringify({ tls }));
    return { DOCKET_CONNECTION: file };
  }

  /** Tries an add in this process. Returns the reason why it was refused; '' when it was not. */
  async function refusalOf(url: string, connection: ServerConnectionOptions): Promise<string> {
    const docket = new Docket({ name: 'd', url, connection });
    onTestFinished(() => docket.close());
    return await docket.add('noop' as never).then(
      () => '',
      (error: Error) => error.message,
    );
  }

  describe.each<Topology>(['one server', 'sentinels', 'a cluster'])('%s', (topology) => {
    let servers: TlsServers;

    beforeAll(async () => {
      servers = await startTls(topology, certificates);
    });
    afterAll(() => servers?.stop());

    test('does work for those who trust the authority, whether an option, a file or Node names it', async () => {
      const { url } = servers;
      const docket = new Docket({ name: 'd', url, connection: { tls: { ca: certificates.read('ca.crt') } } });
      onTestFinished(() => docket.close());
      const adding = docket.add('echo' as never, { value: 7 } as never);
      const execution = await adding;
      const args = ['--url', url, '--docket', 'd', '--tasks', TASKS, '--threads', '1', '--until-finished'];
      const worker = startCommand(args, fileWith({ caFile: 'ca.crt' }));
      expect(await execution.result()).toBe(7);
      expect(await worker.ended).toEqual({ code: 0, signal: null });
      const trusted = { NODE_EXTRA_CA_CERTS: join(certificates.folder, 'ca.crt') };
      expect(await spawnDocket(['ls', '--url', url, '--docket', 'd'], trusted)).toMatchObject({ code: 0, errors: '' });
    });

    test('is refused with one line when another authority has signed its certificate', async () => {
      const { url } = servers;
      for (const tls of [{}, { ca: certificates.read('stranger.crt') }]) {
        expect(await refusalOf(url, { tls })).toMatch(/^cannot use Redis at rediss.*TLS failed \(.*certificate.*\)/);
      }
      const command = await runDocket(['ls', '--url', url], fileWith({ caFile: 'stranger.crt' }));
      expect(command).toMatchObject({ code: 1, output: '' });
      expect(command.errors).toMatch(/^docket: cannot use Redis at [^\n]*TLS failed [^\n]*\n$/);
    });

    test('ends a worker that does not trust it, since waiting cannot help', async () => {
      const args = ['--url', servers.url, '--tasks', TASKS, '--threads', '1', '--logging-format', 'plain'];
      const worker = startCommand(args, fileWith({ caFile: 'stranger.crt' }));
      expect(await worker.ended).toEqual({ code: 1, signal: null });
      expect(worker.errors).toEqual([expect.stringMatching(/^docket-worker: cannot use Redis at rediss.*TLS failed/)]);
    });

    test('is refused when its certificate is for another name, unless that name is expected', async () => {
      const misnamed = await startTls(topology, certificates, { certificate: 'misnamed' });
      onTestFinished(() => misnamed.stop());
      const ca = certificates.read('ca.crt');
      expect(await refusalOf(misnamed.url, { tls: { ca } })).toMatch(/TLS failed \(.*(altnames|Altnames|Host)/);
      expect(await refusalOf(misnamed.url, { tls: { ca, servername: 'elsewhere.test' } })).toBe('');
      expect(await refusalOf(misnamed.url, { tls: { ca, rejectUnauthorized: false } })).toBe('');
    });

    test('asks for the certificate of the client, and takes only one that its authority has signed', async () => {
      const asking = await startTls(topology, certificates, { asksClients: true });
      onTestFinished(() => asking.stop());
      const { read } = certificates;
      const as = (name: string) => ({ ca: read('ca.crt'), cert: read(`${name}.crt`), key: read(`${name}.key`) });
      expect(await refusalOf(asking.url, { tls: as('client') })).toBe('');
      const file = fileWith({ caFile: 'ca.crt', certFile: 'client.crt', keyFile: 'client.key' });
      expect(await runDocket(['ls', '--url', asking.url], file)).toMatchObject({ code: 0, errors: '' });
      // The server ends the link. Whether its reason arrives before that is a matter of luck.
      for (const tls of [{ ca: read('ca.crt') }, as('intruder')]) {
        expect(await refusalOf(asking.url, { tls })).toMatch(
          /^cannot use Redis at .*(TLS failed|closed the connection|is closed|ECONNRESET|EPIPE)/,
        );
      }
    });
  });

  test('a server that is asked without TLS, or that has none, is refused', async () => {
    const servers = await startTls('one server', certificates);
    onTestFinished(() => servers.stop());
    const plain = servers.url.replace('rediss:', 'redis:');
    expect(await refusalOf(plain, {})).toMatch(/^cannot use Redis at redis:/);
    const { errors } = await runDocket(['ls', '--url', plain], fileWith({ caFile: 'ca.crt' }));
    expect(errors).toContain('the URL asks for no TLS: write rediss:// in place of redis://');
  });
});
