/** Who is asked for a master, and what is said of one that cannot be found. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { ClusterSearch, MasterNotFoundError, SentinelSearch } from '../../../src/redis/master-search.js';
import { type Reply, type ScriptedServer, scriptedServer } from '../../support/scripted-server.js';

const NEVER = new AbortController().signal;
const ACCESS = { tls: null, family: undefined };
const asIs = <T>(address: T) => address;

/** Returns addresses where nothing listens. */
async function deadAddresses(count: number) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))));
  const addresses = servers.map((server) => ({ host: '127.0.0.1', port: (server.address() as AddressInfo).port }));
  for (const server of servers) server.close();
  return addresses;
}

test('the error has the same text whatever the order in which they were asked, so that it is logged once', async () => {
  const addresses = await deadAddresses(3);
  for (const search of [new SentinelSearch(addresses, 'm', asIs), new ClusterSearch(addresses, 'k', asIs)]) {
    const texts = new Set<string>();
    for (let i = 0; i < 12; i++) {
      const error = await search.find(ACCESS, NEVER).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(MasterNotFoundError);
      expect(error).toMatchObject({ isPermanent: false });
      texts.add((error as Error).message);
    }
    expect([...texts]).toEqual([expect.stringMatching(/answers \(127.*: the connection was refused: .*; 127.*; 127/)]);
  }
});

/** A sentinel; an error in place of its master is its answer to everything. */
const sentinelThat = (master: () => readonly string[] | Error, others: () => Reply = () => []) =>
  scriptedServer((command, what) => {
    const answer = master();
    if (answer instanceof Error) return answer;
    if (command.toLowerCase() === 'sentinel') return what === 'get-master-addr-by-name' ? answer : others();
  });

/** A node of a cluster with this reply to CLUSTER SLOTS. */
const nodeThat = (slots: () => Reply) =>
  scriptedServer((command) => (command.toLowerCase() === 'cluster' ? slots() : undefined));

const gone = new Error('ERR gone');
const isGone = (lost: boolean, otherwise: readonly string[]) => (lost ? gone : otherwise);

test('a sentinel that another one has named is asked when that one is gone', async () => {
  const named = await sentinelThat(() => ['10.0.0.2', '6379']);
  let isLost = false;
  const first = await sentinelThat(
    () => isGone(isLost, ['10.0.0.1', '6379']),
    () => [['ip', named.host, 'port', String(named.port)]],
  );
  const search = new SentinelSearch([first], 'm', asIs);
  expect(await search.find(ACCESS, NEVER)).toEqual({ host: '10.0.0.1', port: 6379 });
  isLost = true;
  expect(await search.find(ACCESS, NEVER)).toEqual({ host: '10.0.0.2', port: 6379 });
});

test('a sentinel whose user may not list the others still names the master', async () => {
  const first = await sentinelThat(
    () => ['10.0.0.1', '6379'],
    () => new Error('NOPERM no'),
  );
  expect(await new SentinelSearch([first], 'm', asIs).find(ACCESS, NEVER)).toEqual({ host: '10.0.0.1', port: 6379 });
});

test('a node that another one has named is asked when that one is gone', async () => {
  const named = await nodeThat(() => [[0, 16_383, ['10.0.0.2', 7000, 'id']]]);
  let isLost = false;
  const first = await nodeThat(() =>
    isLost ? gone : [[0, 16_383, ['10.0.0.1', 7000, 'id'], [named.host, named.port, 'other']]],
  );
  const search = new ClusterSearch([first], 'k', asIs);
  expect(await search.find(ACCESS, NEVER)).toEqual({ host: '10.0.0.1', port: 7000 });
  isLost = true;
  expect(await search.find(ACCESS, NEVER)).toEqual({ host: '10.0.0.2', port: 7000 });
});

test('the node that a reply has named is asked first, once', async () => {
  const seed: ScriptedServer = await nodeThat(() => [[0, 16_383, [seed.host, seed.port, 'id']]]);
  const named = await nodeThat(() => [[0, 16_383, ['10.0.0.2', 7000, 'id']]]);
  const search = new ClusterSearch([seed], 'k', asIs);
  search.learn(named);
  expect((await search.find(ACCESS, NEVER)).host).toBe('10.0.0.2');
  const asked = named.commands.length;
  expect(await search.find(ACCESS, NEVER)).toEqual({ host: seed.host, port: seed.port });
  expect(named.commands.length).toBe(asked);
});

test('a node that knows of no master for the slot is passed over', async () => {
  const lone = await nodeThat(() => []);
  const other = await nodeThat(() => [[0, 16_383, ['10.0.0.1', 7000, 'id']]]);
  for (let i = 0; i < 8; i++) {
    const search = new ClusterSearch([lone, other], 'k', asIs);
    expect(await search.find(ACCESS, NEVER)).toEqual({ host: '10.0.0.1', port: 7000 });
  }
  const alone = new ClusterSearch([lone], 'k', asIs).find(ACCESS, NEVER);
  await expect(alone).rejects.toMatchObject({
    isPermanent: false,
    message: expect.stringMatching('no node of the cluster has slot'),
  });
});

test('the error has one text when no node has the slot, too', async () => {
  const nodes = await Promise.all([1, 2, 3].map(() => nodeThat(() => [])));
  const search = new ClusterSearch(nodes, 'k', asIs);
  const texts = new Set<string>();
  for (let i = 0; i < 12; i++) {
    texts.add(String(await search.find(ACCESS, NEVER).catch((reason: unknown) => reason)));
  }
  expect([...texts]).toEqual([expect.stringMatching(/no node of the cluster has slot/)]);
});

test('a node that does not know its host is where it was asked, and one without a host name at its address', async () => {
  const unknown = await nodeThat(() => [[0, 16_383, ['', 7000, 'id']]]);
  const nameless = await nodeThat(() => [[0, 16_383, ['?', 7000, 'id', ['ip', '10.0.0.9']]]]);
  expect(await new ClusterSearch([unknown], 'k', asIs).find(ACCESS, NEVER)).toEqual({ host: '127.0.0.1', port: 7000 });
  expect(await new ClusterSearch([nameless], 'k', asIs).find(ACCESS, NEVER)).toEqual({ host: '10.0.0.9', port: 7000 });
});

test('waiting cures nothing when all refuse the credentials, and may when one is only away', async () => {
  const refusing = await sentinelThat(() => new Error('WRONGPASS invalid username-password pair'));
  const [dead] = await deadAddresses(1);
  const access = { ...ACCESS, password: 'wrong' };
  const refused = new SentinelSearch([refusing], 'm', asIs).find(access, NEVER);
  await expect(refused).rejects.toMatchObject({ isPermanent: true });
  const away = new SentinelSearch([refusing, dead!], 'm', asIs).find(access, NEVER);
  await expect(away).rejects.toMatchObject({ isPermanent: false });
});
