/**
 * A way to a real server on which the network can fail: links break, stall, lose their far end, deliver late or in slices, or
 * lose the answer to what was sent. It knows the roles of docket's connections, so one role alone can be hit.
 *
 * Bytes of one direction are never reordered, and none is lost on a link that goes on.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

/** A role of a connection, as CLIENT LIST names it. */
export type Role = 'blocking' | 'commands' | 'producer' | 'subscriber';

/**
 * What becomes of a link.
 *
 * - `open`: everything passes
 * - `cut`: it breaks, and so does each new one
 * - `stalled`: nothing passes in either direction, and both ends stay open; new ones are accepted and stall, too
 * - `half-open`: the server sees it end, its client sees nothing
 * - `deaf`: what is sent arrives, the answers do not
 * - `unanswered`: what is sent arrives, and the link breaks in place of the answer
 * - `late`: each piece arrives so many milliseconds later
 * - `sliced`: it arrives in pieces of so many bytes
 * - `narrow`: its client sends no more than so many bytes a second
 */
export type Condition =
  | { readonly kind: 'open' | 'cut' | 'stalled' | 'half-open' | 'deaf' | 'unanswered' }
  | { readonly kind: 'late'; readonly ms: number }
  | { readonly kind: 'sliced'; readonly bytes: number }
  | { readonly kind: 'narrow'; readonly bytesPerSecond: number };

export interface Relay {
  readonly port: number;
  /** How often a condition other than `open` has hit a link, or what came over one. */
  readonly hits: number;
  /** Lets the links of this role, old and new, meet a condition; those of all roles without one. */
  set(condition: Condition, role?: Role): void;
  /** Breaks all links at once. New ones work as the condition says. */
  breakAll(): void;
  /**
   * Lets nothing pass over the links that there are, for good, although both ends stay open. New ones work as the
   * condition says.
   */
  abandonAll(): void;
  /** Accepts no more links. Those that there are go on. */
  unlisten(): void;
  /** Ends it with all links. */
  close(): Promise<void>;
}

/** Opens a way to the server at this path of a socket, or at this port of the loopback interface. */
export async function openRelay(target: string | number): Promise<Relay> {
  const links = new Set<Link>();
  const conditions = new Map<Role | 'all', Condition>([['all', { kind: 'open' }]]);
  const conditionOf = (role: Role | null) => (role !== null && conditions.get(role)) || conditions.get('all')!;
  let hits = 0;
  const onHit = () => {
    hits += 1;
  };
  const server = createServer((client) => {
    const upstream = typeof target === 'string' ? dial(target) : dial(target, '127.0.0.1');
    const link = new Link(client, upstream, conditionOf, onHit);
    links.add(link);
    client.once('close', () => links.delete(link));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const breakAll = () => {
    for (const link of links) link.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    get hits() {
      return hits;
    },
    set(condition, role) {
      if (role === undefined) conditions.clear();
      conditions.set(role ?? 'all', condition);
      for (const link of links) link.meet();
    },
    breakAll,
    abandonAll() {
      for (const link of links) link.abandon();
    },
    unlisten: () => void server.close(),
    async close() {
      const closed = once(server, 'close');
      server.close();
      breakAll();
      await closed;
    },
  };
}

type Direction = 'request' | 'answer';

/** One connection of a client, and the one behind it. */
class Link {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #conditionOf: (role: Role | null) => Condition;
  readonly #onHit: () => void;
  #role: Role | null = null;
  #isAbandoned = false;
  #waiting: (() => void)[] = [];

  constructor(client: Socket, server: Socket, conditionOf: (role: Role | null) => Condition, onHit: () => void) {
    this.#client = client.setNoDelay(true);
    this.#server = server.setNoDelay(true);
    this.#conditionOf = conditionOf;
    this.#onHit = onHit;
    for (const end of [client, server]) end.on('error', () => {});
    void this.#pump(client, server, 'request');
    void this.#pump(server, client, 'answer');
    this.meet();
  }

  /** The condition has changed. */
  meet(): void {
    const { kind } = this.#condition;
    if (kind === 'cut' || kind === 'half-open') this.#onHit();
    if (kind === 'cut') this.destroy();
    if (kind === 'half-open') this.#server.destroy();
    else if (this.#server.destroyed) this.destroy();
    for (const goOn of this.#waiting.splice(0)) goOn();
  }

  abandon(): void {
    this.#isAbandoned = true;
    this.#client.once('close', () => this.destroy());
  }

  destroy(): void {
    this.#client.destroy();
    this.#server.destroy();
    for (const goOn of this.#waiting.splice(0)) goOn();
  }

  get #condition(): Condition {
    return this.#isAbandoned ? { kind: 'stalled' } : this.#conditionOf(this.#role);
  }

  async #pump(from: Socket, to: Socket, direction: Direction): Promise<void> {
    try {
      for await (const bytes of from as AsyncIterable<Buffer>) {
        if (direction === 'request') this.#learnRole(bytes);
        await this.#pass(bytes, to, direction);
      }
    } catch {
      // The end of a link says nothing more than its close does.
    }
    // A client whose server has gone half-open must not notice.
    if (direction === 'request' || this.#condition.kind !== 'half-open') this.destroy();
  }

  #learnRole(bytes: Buffer): void {
    const found = /docket:(blocking|commands|subscriber|producer)/.exec(bytes.toString('latin1'))?.[1];
    if (found === undefined || found === this.#role) return;
    this.#role = found as Role;
    this.meet();
  }

  async #pass(bytes: Buffer, to: Socket, direction: Direction): Promise<void> {
    if (this.#isHeld(direction)) this.#onHit();
    while (this.#isHeld(direction)) {
      if (this.#client.destroyed) return;
      await new Promise<void>((goOn) => this.#waiting.push(goOn));
    }
    const condition = this.#condition;
    if (condition.kind !== 'open' && condition.kind !== 'deaf') this.#onHit(); // to the deaf, what is sent goes as always
    if (condition.kind === 'unanswered' && direction === 'answer') return this.destroy();
    if (condition.kind === 'half-open') return; // lost with the server's end
    if (condition.kind === 'late') await sleep(condition.ms);
    if (condition.kind === 'sliced') return await this.#slice(bytes, to, condition.bytes);
    if (to.writable && !to.write(bytes)) await drained(to);
    if (condition.kind === 'narrow' && direction === 'request')
      await sleep((1_000 * bytes.length) / condition.bytesPerSecond);
  }

  #isHeld(direction: Direction): boolean {
    const { kind } = this.#condition;
    return kind === 'stalled' || (kind === 'deaf' && direction === 'answer');
  }

  async #slice(bytes: Buffer, to: Socket, size: number): Promise<void> {
    for (let start = 0; start < bytes.length && to.writable; start += size) {
      if (!to.write(bytes.subarray(start, start + size))) await drained(to);
      await nextTurn();
    }
  }
}

/** Resolves when more can be written, or nothing any more. */
async function drained(socket: Socket): Promise<void> {
  if (socket.destroyed) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.once('drain', done).once('close', done);
  });
}
