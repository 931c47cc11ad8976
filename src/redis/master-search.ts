/**
 * Finds the master that has the keys of a docket: by sentinels, or among the nodes of a cluster.
 *
 * Owns the rule that one sentinel or node with an outdated view cannot keep a connection from the master: they are asked in a new
 * order each time. Besides those in the URL, those that were named in answers are asked.
 */
import { connectReason, isRefusedForGood } from './connect-errors.js';
import { type Access, askServer, firstAnswer, NoAnswerError, type Problem } from './first-answer.js';
import { addressText, masterIn, ownersIn, sentinelsIn, unique } from './master-replies.js';
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
    const found = masterIn(master);
    if (found === null) throw new UnknownMaster();
    this.#known = sentinelsIn(others).map(this.#translate);
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
        `${addressText(mistaken.address)} is no sentinel: give the addresses of sentinels, or the redis:// URL of one server`,
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
        const problem = `${addressText(mistaken.address)} is no cluster: give its URL as redis://`;
        throw new MasterNotFoundError(problem, true, advice);
      }
      if (!problems.some((problem) => problem.error instanceof SlotUnserved)) {
        throw notAnswered('no node of the cluster answers', problems);
      }
      const unserved = problems
        .filter((one) => one.error instanceof SlotUnserved)
        .map(({ address }) => addressText(address))
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
    const { master, nodes } = ownersIn(reply, slot, node);
    if (master === null) throw new SlotUnserved();
    this.#known = nodes.map(this.#translate);
    return this.#translate(master);
  }
}

const UNSERVED_ADVICE =
  'run redis-cli --cluster check with the address of a node: a master of the cluster is down, or slots have no owner';

/** A node knows of no master that has the slot. */
class SlotUnserved extends Error {}

/** Returns each address once, in a random order, so that the searches of a fleet do not all ask the same one first. */
function shuffled(addresses: readonly Address[]): Address[] {
  return unique(addresses)
    .map((address) => ({ address, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ address }) => address);
}

/**
 * Returns the error for the case that there was no answer. It is permanent when all have refused for good. Its text
 * does not depend on the order in which they were asked: an outage is logged again when its text changes.
 */
function notAnswered(what: string, problems: readonly Problem[]): MasterNotFoundError {
  const all = problems.map(({ address, error }) => `${addressText(address)}: ${connectReason(error)}`).sort();
  const more = all.length > MOST_NAMED ? `, and ${all.length - MOST_NAMED} more` : '';
  const isRefused = problems.every(({ error }) => isRefusedForGood(error));
  return new MasterNotFoundError(`${what} (${all.slice(0, MOST_NAMED).join('; ')}${more})`, isRefused);
}
