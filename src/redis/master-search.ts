/**
 * Finds the master that has the keys of a docket: by sentinels, or among the nodes of a cluster.
 *
 * Owns the rule that one sentinel or node with an outdated view cannot keep a connection from the master: they are asked in a new
 * order each time. Besides those in the URL, those that were named in answers are asked.
 */
import { connectReason, isRefusedForGood } from './connect-errors.js';
import { type Access, askServer, firstAnswer, NoAnswerError, type Problem } from './first-answer.js';
import { isClusterDisabled, isCommandUnknown } from './reply-errors.js';
import type { Address } from './url.js';

/** Finds the address of a master. `natMap` has been applied to it. */
export interface MasterSearch {
  /**
   * @throws MasterNotFoundError when no sentinel or node knows the master
   * @throws the reason of `signal` when that aborts
   */
  find(access: Access, signal: AbortSignal): Promise<Address>;
  /** Remembers the node that has the keys now, as a reply has told. */
  learn(address: Address): void;
}

/** Translates an address that a sentinel or a node has named. */
export type Translate = (address: Address) => Address;

/** Thrown when the master cannot be found. */
export class MasterNotFoundError extends Error {
  /**
   * @param isPermanent - whether the answer will be the same the next time
   * @param advice - how to change the URL, if that is what helps
   */
  constructor(
    message: string,
    readonly isPermanent: boolean,
    readonly advice: string | null = null,
  ) {
    super(message);
  }
}

/** How many sentinels or nodes are remembered besides those in the URL. */
const MOST_KNOWN = 64;
/** How many sentinels or nodes without an answer are named in an error. */
const MOST_NAMED = 3;

export class SentinelSearch implements MasterSearch {
  readonly #sentinels: readonly Address[];
  readonly #master: string;
  readonly #translate: Translate;
  #known: readonly Address[] = [];

  constructor(sentinels: readonly Address[], master: string, translate: Translate) {
    this.#sentinels = sentinels;
    this.#master = master;
    this.#translate = translate;
  }

  async find(access: Access, signal: AbortSignal): Promise<Address> {
    try {
      const asked = shuffled([...this.#sentinels, ...this.#known]);
      return await firstAnswer(asked, (sentinel, over) => this.#ask(sentinel, access, over), signal);
    } catch (error) {
      if (!(error instanceof NoAnswerError)) throw error;
      throw this.#notFound(error.problems);
    }
  }

  learn(): void {
    // No sentinel is named by a reply of the master.
  }

  async #ask(sentinel: Address, access: Access, signal: AbortSignal): Promise<Address> {
    const [master, others] = await askServer(sentinel, access, {
      signal,
      ask: (redis) =>
        Promise.all([
          redis.call('SENTINEL', 'get-master-addr-by-name', this.#master),
          redis.call('SENTINEL', 'sentinels', this.#master).catch(() => []), // the user may not, or there is no such master
        ]),
    });
    const found = Array.isArray(master) ? addressOf(master[0], master[1]) : null;
    if (found === null) throw new UnknownMaster();
    this.#known = (Array.isArray(others) ? others : [])
      .map((fields: unknown) => addressOf(fieldOf(fields, 'ip'), fieldOf(fields, 'port')))
      .filter((address) => address !== null)
      .slice(0, MOST_KNOWN)
      .map(this.#translate);
    return this.#translate(found);
  }

  #notFound(problems: readonly Problem[]): MasterNotFoundError {
    if (problems.some(({ error }) => error instanceof UnknownMaster)) {
      const advice =
        'give the name that the sentinels have for it: redis+sentinel://host:26379/NAME (SENTINEL MASTERS lists them)';
      return new MasterNotFoundError(`the sentinels know no master named '${this.#master}'`, true, advice);
    }
    const mistaken = problems.find(({ error }) => isCommandUnknown(error));
    if (mistaken) {
      return new MasterNotFoundError(
        `${textOf(mistaken.address)} is no sentinel: give the addresses of sentinels, or the redis:// URL of one server`,
        true,
        'change --url (DOCKET_URL): sentinels usually listen on port 26379',
      );
    }
    return notAnswered('no sentinel answers', problems);
  }
}

/** The sentinel does not know the master. */
class UnknownMaster extends Error {}

export class ClusterSearch implements MasterSearch {
  readonly #seeds: readonly Address[];
  readonly #key: string;
  readonly #translate: Translate;
  #known: readonly Address[] = [];
  /** The node that has the keys, according to another node. */
  #named: Address | null = null;

  /** @param key - a key of the docket; all others are in the same slot */
  constructor(seeds: readonly Address[], key: string, translate: Translate) {
    this.#seeds = seeds;
    this.#key = key;
    this.#translate = translate;
  }

  async find(access: Access, signal: AbortSignal): Promise<Address> {
    const { default: slotOf } = await import('cluster-key-slot');
    const slot = slotOf(this.#key);
    const first = this.#named === null ? [] : [this.#named];
    this.#named = null;
    const asked = unique([...first, ...shuffled([...this.#known, ...this.#seeds])]);
    try {
      return await firstAnswer(asked, (node, over) => this.#ask(node, { access, slot, signal: over }), signal);
    } catch (error) {
      if (!(error instanceof NoAnswerError)) throw error;
      const { problems } = error;
      const mistaken = problems.find((problem) => isClusterDisabled(problem.error));
      if (mistaken) {
        const advice = 'change redis+cluster:// in --url (DOCKET_URL) to redis://, or enable the cluster on the server';
        const problem = `${textOf(mistaken.address)} is no cluster: give its URL as redis://`;
        throw new MasterNotFoundError(problem, true, advice);
      }
      if (!problems.some((problem) => problem.error instanceof SlotUnserved)) {
        throw notAnswered('no node of the cluster answers', problems);
      }
      const unserved = problems
        .filter((one) => one.error instanceof SlotUnserved)
        .map(({ address }) => textOf(address))
        .sort(); // as in `notAnswered`
      const asked = `${unserved.slice(0, MOST_NAMED).join(', ')}${unserved.length > MOST_NAMED ? ', …' : ''}`;
      const problem = `no node of the cluster has slot ${slot}, in which the keys of this docket are (asked: ${asked})`;
      throw new MasterNotFoundError(problem, false, UNSERVED_ADVICE);
    }
  }

  learn(address: Address): void {
    this.#named = this.#translate(address);
  }

  /**
   * Returns the master of the slot.
   * @throws SlotUnserved when this node knows of none. It may have left the cluster, so other nodes are asked
   */
  async #ask(
    node: Address,
    { access, slot, signal }: { readonly access: Access; readonly slot: number; readonly signal: AbortSignal },
  ): Promise<Address> {
    const reply = await askServer(node, access, { signal, ask: (redis) => redis.call('CLUSTER', 'SLOTS') });
    const nodes: Address[] = [];
    let master: Address | null = null;
    for (const range of Array.isArray(reply) ? reply : []) {
      if (!Array.isArray(range)) continue;
      const [first, last, ...named] = range as unknown[];
      const addresses = named.map((one) => (Array.isArray(one) ? addressOf(hostIn(one) || node.host, one[1]) : null));
      if (Number(first) <= slot && slot <= Number(last)) master = addresses[0] ?? null;
      nodes.push(...addresses.filter((address) => address !== null));
    }
    if (master === null) throw new SlotUnserved();
    this.#known = unique(nodes.map(this.#translate)).slice(0, MOST_KNOWN);
    return this.#translate(master);
  }
}

const UNSERVED_ADVICE =
  'run redis-cli --cluster check with the address of a node: a master of the cluster is down, or slots have no owner';

/** A node knows of no master that has the slot. */
class SlotUnserved extends Error {}

/**
 * Returns the host of a node in a reply to CLUSTER SLOTS. It is '' when the node does not know its own host: then it is the node that
 * was asked. It is '?' when the node should announce a host name and has none: then the IP address is in the metadata.
 */
function hostIn([host, , , more]: readonly unknown[]): unknown {
  return host === '?' ? fieldOf(more, 'ip') : host;
}

/** Returns an address as text. Two addresses are the same when their texts are. */
function textOf({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function addressOf(host: unknown, port: unknown): Address | null {
  const number = Number(port);
  const isSound = typeof host === 'string' && host !== '' && host !== '?' && Number.isInteger(number) && number > 0;
  return isSound && number <= 65_535 ? { host, port: number } : null;
}

/** Returns the value of a field in a flat list of names and values. */
function fieldOf(fields: unknown, name: string): unknown {
  const at = Array.isArray(fields) ? fields.indexOf(name) : -1;
  return at < 0 ? undefined : (fields as unknown[])[at + 1];
}

/** Returns each address once, in a random order, so that the searches of a fleet do not all ask the same one first. */
function shuffled(addresses: readonly Address[]): Address[] {
  return unique(addresses)
    .map((address) => ({ address, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ address }) => address);
}

function unique(addresses: readonly Address[]): Address[] {
  return [...new Map(addresses.map((address) => [textOf(address), address])).values()];
}

/**
 * Returns the error for the case that there was no answer. It is permanent when all have refused for good. Its text does not depend on
 * the order in which they were asked: an outage is logged again when its text changes.
 */
function notAnswered(what: string, problems: readonly Problem[]): MasterNotFoundError {
  const all = problems.map(({ address, error }) => `${textOf(address)}: ${connectReason(error)}`).sort();
  const more = all.length > MOST_NAMED ? `, and ${all.length - MOST_NAMED} more` : '';
  const isRefused = problems.every(({ error }) => isRefusedForGood(error));
  return new MasterNotFoundError(`${what} (${all.slice(0, MOST_NAMED).join('; ')}${more})`, isRefused);
}
