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
  readonly #newContext: () => ThreadContext;
  readonly #instances = new Map<Factory, Promise<Provision>>();
  /** The clean-ups, in the order of creation. */
  readonly #made: { readonly name: string; readonly cleanUp: () => unknown }[] = [];

  /** @param newContext - makes the context of one factory */
  constructor(newContext: () => ThreadContext) {
    this.#newContext = newContext;
  }

  /** Whether the instance of a factory exists, or is being created. */
  has(factory: Factory): boolean {
    return this.#instances.has(factory);
  }

  /**
   * Returns the instance of a factory. Rejects with the error of the factory.
   * @param name - name of the dependency at its first user, for log lines
   * @param uses - instances of the shared dependencies that it uses, by name. They are created first, so that no two
   *   factories wait for each other, and clean-up in reverse order ends a user before the ones that it uses
   */
  async get(factory: Factory, name: string, uses: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    let making = this.#instances.get(factory);
    if (!making) {
      making = runInCleanContext(() => this.#make(factory, name, uses)); // it outlives the attempt that needs it first
      this.#instances.set(factory, making);
      making.catch(() => this.#instances.delete(factory));
    }
    return (await making).value;
  }

  async #make(factory: Factory, name: string, uses: Readonly<Record<string, unknown>>): Promise<Provision> {
    const context = Object.assign(this.#newContext(), uses);
    const provision = await provisionOf(factory(context), Object.values(uses));
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
