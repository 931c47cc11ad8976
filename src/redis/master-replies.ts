/**
 * Reads the replies by which sentinels and nodes of a cluster name servers.
 *
 * Owns the rule that only sound addresses come out of them, each once and a bounded number, whatever the shape of a
 * reply: connections are opened to these addresses, and errors show them.
 */
import type { Address } from './url.js';

/** How many addresses are read from one reply. */
const MOST_READ = 64;
/** The longest name that a host can have. */
const LONGEST_HOST = 255;

/** Returns the master that a sentinel names; `null` when it knows none. */
export function masterIn(reply: unknown): Address | null {
  return Array.isArray(reply) ? addressOf(reply[0], reply[1]) : null;
}

/** Returns the other sentinels that a sentinel lists. */
export function sentinelsIn(reply: unknown): Address[] {
  return soundOf(listOf(reply).map((fields) => addressOf(fieldOf(fields, 'ip'), fieldOf(fields, 'port'))));
}

/** What a node says about the servers of its cluster. */
export interface SlotOwners {
  /** The master of the slot; `null` when the node knows none. */
  readonly master: Address | null;
  readonly nodes: readonly Address[];
}

/** Reads the reply to CLUSTER SLOTS of the node at `asked`. */
export function ownersIn(reply: unknown, slot: number, asked: Address): SlotOwners {
  const nodes: (Address | null)[] = [];
  let master: Address | null = null;
  for (const range of listOf(reply)) {
    const [first, last, ...named] = listOf(range);
    const addresses = named.map((one) => (Array.isArray(one) ? addressOf(hostIn(one) || asked.host, one[1]) : null));
    if (Number(first) <= slot && slot <= Number(last)) master = addresses[0] ?? null;
    nodes.push(...addresses);
  }
  return { master, nodes: soundOf(nodes) };
}

/** Reads the host and port that a server has named; `null` when there can be no server. */
export function addressOf(host: unknown, port: unknown): Address | null {
  const number = Number(port);
  const isHost = typeof host === 'string' && host !== '' && host !== '?' && host.length <= LONGEST_HOST;
  return isHost && Number.isInteger(number) && number > 0 && number <= 65_535 ? { host, port: number } : null;
}

/** Returns an address as text. Two addresses are the same when their texts are. */
export function addressText({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export function unique(addresses: readonly Address[]): Address[] {
  return [...new Map(addresses.map((address) => [addressText(address), address])).values()];
}

/**
 * Returns the host of a node in a reply to CLUSTER SLOTS. It is '' when the node does not know its own host: then it is
 * the node that was asked. It is '?' when the node should announce a host name and has none: then the IP address is in
 * the metadata.
 */
function hostIn([host, , , more]: readonly unknown[]): unknown {
  return host === '?' ? fieldOf(more, 'ip') : host;
}

/** Returns the value of a field in a flat list of names and values. */
function fieldOf(fields: unknown, name: string): unknown {
  const list = listOf(fields);
  const at = list.indexOf(name);
  return at < 0 ? undefined : list[at + 1];
}

function soundOf(addresses: readonly (Address | null)[]): Address[] {
  return unique(addresses.filter((address) => address !== null)).slice(0, MOST_READ);
}

function listOf(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : [];
}
