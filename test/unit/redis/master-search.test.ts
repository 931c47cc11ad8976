/** What is said of a master that cannot be found. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { ClusterSearch, MasterNotFoundError, SentinelSearch } from '../../../src/redis/master-search.js';

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
