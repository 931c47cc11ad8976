/**
 * What executions on this thread share: one instance per factory, made on first use.
 *
 * Owns the rule that concurrent first users get the same instance, and that a failure is theirs alone: the next user
 * has it made again.
 */
import type { Logger, ThreadContext } from '../tasks/context.js';
import { type Provision, provisionOf } from './provision.js';

type Factory = (ctx: ThreadContext) => unknown;

export class SharedInstances {
  readonly #context: ThreadContext;
  readonly #instances = new Map<Factory, Promise<Provision>>();
  /** What to clean up, in the order in which it was there. */
  readonly #made: { readonly name: string; readonly cleanUp: () => unknown }[] = [];

  constructor(context: ThreadContext) {
    this.#context = context;
  }

  /** Gives the instance; `name` is what its first user calls it. Rejects with what the factory threw. */
  async get(factory: Factory, name: string): Promise<unknown> {
    let making = this.#instances.get(factory);
    if (!making) {
      making = this.#make(factory, name);
      this.#instances.set(factory, making);
      making.catch(() => this.#instances.delete(factory));
    }
    return (await making).value;
  }

  async #make(factory: Factory, name: string): Promise<Provision> {
    const provision = await provisionOf(factory(this.#context));
    if (provision.cleanUp) this.#made.push({ name, cleanUp: provision.cleanUp });
    return provision;
  }

  /** Cleans up all instances, the last one first, also those just being made. Logs what fails; never rejects. */
  async dispose(logger: Logger): Promise<void> {
    await Promise.allSettled(this.#instances.values());
    this.#instances.clear();
    for (let last = this.#made.pop(); last; last = this.#made.pop()) {
      try {
        await last.cleanUp();
      } catch (error) {
        logger.error({ error }, `the clean-up of the shared dependency '${last.name}' failed`);
      }
    }
  }
}
