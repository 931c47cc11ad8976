/** Whatever sentinels and nodes of a cluster reply: only addresses that can be come out of it, and nothing throws. */
import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { readClusterMap, tagsFor } from '../../../src/redis/cluster-map.js';
import { addressOf, masterIn, ownersIn, sentinelsIn } from '../../../src/redis/master-replies.js';
import { movedTo, refusalOf } from '../../../src/redis/reply-errors.js';
import type { Address } from '../../../src/redis/url.js';
import { anyText, holds, holdsAsync, nearlyNumber, PATIENCE_MS } from '../../support/properties.js';

const scalar = fc.oneof(
  anyText,
  nearlyNumber,
  fc.integer(),
  fc.constant(null),
  anyText.map((text) => new Error(text)),
);
/** What the client of Redis may return: text, numbers, nothing, errors, and lists of all that. */
const anyReply: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  reply: fc.oneof({ maxDepth: 4 }, scalar, fc.array(tie('reply'), { maxLength: 6 })),
})).reply;

const host = fc.oneof(fc.constantFrom('', '?', '10.0.0.1', '2001:db8::1', 'h', 'x'.repeat(256)), scalar);
const port = fc.oneof(fc.constantFrom(6379, '6379', 0, 65_535, 65_536, '1e3', 1.5), scalar);
const node = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(host, port, anyText, fc.oneof(fc.tuple(fc.constant('ip'), host), anyReply)) },
  anyReply,
);
const slot = fc.oneof(fc.integer({ min: -1, max: 16_384 }), scalar);
/** A reply to CLUSTER SLOTS, or nearly one. */
const slots = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.array(fc.tuple(slot, slot, node, node).map((range) => range as unknown)),
  },
  fc.array(fc.oneof(anyReply, fc.array(slot, { maxLength: 3 }))),
  anyReply,
);
/** One sentinel of a list, or nearly one. */
const sentinel = fc.oneof(
  fc.tuple(fc.constant('ip'), host, fc.constant('port'), port).map((fields) => fields as unknown),
  anyReply,
);

const ASKED = { host: '10.0.0.9', port: 1 };

function checkAddress({ host, port }: Address): void {
  if (host === '' || host === '?' || host.length > 255) throw new Error(`no host: ${host}`);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Error(`no port: ${port}`);
}

function checkAddresses(addresses: readonly Address[]): void {
  addresses.forEach(checkAddress);
  const texts = new Set(addresses.map((one) => JSON.stringify(one)));
  if (texts.size < addresses.length || addresses.length > 64) throw new Error('too many addresses');
}

describe('the servers that are named', { timeout: PATIENCE_MS }, () => {
  test('by sentinels have addresses that can be, whatever the replies are', () => {
    holds(fc.oneof(fc.tuple(host, port), anyReply), (reply) => {
      const master = masterIn(reply);
      if (master) checkAddress(master);
    });
    holds(fc.oneof(fc.array(sentinel), anyReply), (reply) => checkAddresses(sentinelsIn(reply)));
    expect(masterIn(['h', '1'])).toEqual({ host: 'h', port: 1 });
  });

  test('by the nodes of a cluster have addresses that can be, whatever the replies are', () => {
    holds(fc.tuple(slots, fc.integer({ min: 0, max: 16_383 })), ([reply, wanted]) => {
      const { master, nodes } = ownersIn(reply, wanted, ASKED);
      if (master) checkAddress(master);
      checkAddresses(nodes);
    });
    expect(ownersIn([[0, 9, ['', 7]]], 9, ASKED)).toEqual({
      master: { host: ASKED.host, port: 7 },
      nodes: [{ host: ASKED.host, port: 7 }],
    });
  });

  test('by a node with thousands of ranges of slots are remembered once each, and 64 at most', () => {
    const ranges = (masters: number) =>
      Array.from({ length: 16_384 }, (_, at) => [at, at, [`h${at % masters}`, 1, `id${at % masters}`]]);
    expect(ownersIn(ranges(3), 16_383, ASKED)).toMatchObject({ master: { host: 'h0' }, nodes: { length: 3 } });
    expect(ownersIn(ranges(1_000), 16_383, ASKED)).toMatchObject({ master: { host: 'h383' }, nodes: { length: 64 } });
  });

  test('by the refusal of a node have a port that can be, or none is named', () => {
    const parts = fc.tuple(fc.constantFrom('MOVED 1 ', 'MOVED ', 'ASK 1 ', 'MOVED x '), host, fc.constantFrom(':', ''));
    holds(fc.tuple(parts, port), ([[begin, name, colon], number]) => {
      const error = new Error(`${begin}${name}${colon}${number}`);
      const moved = movedTo(error);
      if (moved) checkAddress({ ...moved, host: moved.host || ASKED.host });
      if (moved && refusalOf(error) !== 'elsewhere') throw new Error('it is named by another kind of error');
    });
    expect(
      ['0', '65536', '1e3', '-1', '9'.repeat(400)].map((number) => movedTo(new Error(`MOVED 1 h:${number}`))),
    ).toEqual(Array(5).fill(null));
    expect(addressOf('h', '65535')).toEqual({ host: 'h', port: 65_535 });
  });
});

describe('the masters of a cluster', { timeout: PATIENCE_MS }, () => {
  test('get partitions, or the error says that nobody has a slot, whatever CLUSTER SLOTS replies', async () => {
    await holdsAsync(slots, async (reply) => {
      const redis = {
        info: async () => 'cluster_enabled:1',
        cluster: async (command: string) => (command === 'SLOTS' ? reply : 7),
      };
      const map = (await readClusterMap(redis as unknown as Redis))!;
      const tags = await tagsFor({ tags: [''] }, 3, (tag) => map.masterOfKey(tag), map.masters).catch(
        (error: Error) => {
          if (!error.message.includes('has the slot 7')) throw error;
        },
      );
      if (tags && new Set(tags).size !== 3) throw new Error(`the same tags: ${tags}`);
    });
  });
});
