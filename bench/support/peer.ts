/** A contender's program in its own process, driven over IPC. `peers/serve.ts` is the other end. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** The messages of the child. Every request gets exactly one answer. */
export type FromPeer = { kind: 'ready' } | { kind: 'answer'; value: unknown } | { kind: 'failed'; reason: string };
export type ToPeer = { kind: 'request'; value: unknown } | { kind: 'stop' };

/** How much of the child's output is kept to explain a failure. */
const KEPT_OUTPUT_CHARS = 4_000;

export class Peer {
  readonly #child: ChildProcess;
  readonly #died: Promise<never>;
  #output = '';
  #stopping = false;

  /** Forks `peers/<program>.js` and waits until it is connected and idle. */
  static async start(program: string, settings: object): Promise<Peer> {
    const peer = new Peer(program, settings);
    await peer.#answer('ready');
    return peer;
  }

  private constructor(program: string, settings: object) {
    const path = fileURLToPath(new URL(`../peers/${program}.js`, import.meta.url));
    this.#child = fork(path, [JSON.stringify(settings)], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    // The child's output must not mix with tables and JSON; it is shown when the child fails.
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (text) => {
        this.#output = (this.#output + text).slice(-KEPT_OUTPUT_CHARS);
      });
    }
    this.#died = once(this.#child, 'exit').then(([code, signal]) => {
      throw new Error(`${program} ended with ${signal ?? code}\n${this.#output}`);
    });
    this.#died.catch(() => {}); // the wait for an answer reports it
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Sends a request and waits for its answer. Only one request at a time. */
  async request<Answer>(value: unknown = null): Promise<Answer> {
    const answer = this.#answer('answer');
    this.#send({ kind: 'request', value });
    return (await answer) as Answer;
  }

  /** Asks the program to close its connections, and waits until it has ended. Throws if the program could not close them. */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    let failure: string | undefined;
    this.#child.on('message', (message: FromPeer) => {
      if (message.kind === 'failed') failure = message.reason;
    });
    if (this.#child.connected) this.#send({ kind: 'stop' });
    await this.#died.catch(() => {});
    if (failure)
      throw new Error(`${failure}
${this.#output}`);
  }

  #send(message: ToPeer): void {
    this.#child.send(message);
  }

  async #answer(kind: 'ready' | 'answer'): Promise<unknown> {
    const [message] = (await Promise.race([once(this.#child, 'message'), this.#died])) as [FromPeer];
    if (message.kind === 'failed') throw new Error(`${message.reason}\n${this.#output}`);
    if (message.kind !== kind) throw new Error(`expected '${kind}' from a peer, got '${message.kind}'`);
    return message.kind === 'answer' ? message.value : undefined;
  }
}
