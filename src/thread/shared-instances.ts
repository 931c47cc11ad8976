/**
 * The shared dependencies of a thread: one instance per factory, created on first use.
 *
 * Owns the rule that concurrent first users get the same instance, and that a failure fails these users only: the next
 * user tries again.
 */
import type { Logger, ThreadContext } from '../tasks/context.js';
import { runInCleanContext } from './clean-context.js';
import { type Provision, provisionOf } from './provision.js';

type Factory = (ctx: ThreadContext) => unknown;

export class SharedInstances {
  readonly #context: ThreadContext;
  readonly #instances = new Map<Factory, Promise<Provision>>();
  /** The clean-ups, in the order of creation. */
  readonly #made: { readonly name: string; readonly cleanUp: () => unknown }[] = [];

  constructor(context: ThreadContext) {
    this.#context = context;
  }

  /**
   * Returns the instance of a factory. Rejects with the error of the factory.
   * @param name - name of the dependency at its first user, for log lines
   */
  async get(factory: Factory, name: string): Promise<unknown> {
    let making = this.#instances.get(factory);
    if (!making) {
      making = runInCleanContext(() => this.#make(factory, name)); // it outlives the attempt that needs it first
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

  /**
   * Cleans up all instances, the last one first, including those still being created. Logs failures; never rejects.
   */
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
