/** What a factory made, whatever its style: the value, and how to clean it up. */
import { types } from 'node:util';

export interface Provision {
  readonly value: unknown;
  /** `null` when there is nothing to clean up. */
  readonly cleanUp: (() => unknown) | null;
}

/**
 * Waits for what a factory returned: a value, a promise, or a generator that yields the value.
 * @param borrowed - values that are not the factory's own, so that they are not disposed with it
 * @throws Error when a generator ends without a yield
 */
export async function provisionOf(made: unknown, borrowed: readonly unknown[] = []): Promise<Provision> {
  if (types.isGeneratorObject(made)) return await fromGenerator(made as Yielding);
  const value = await made;
  return { value, cleanUp: borrowed.includes(value) ? null : disposalOf(value) };
}

type Yielding = Generator | AsyncGenerator;

async function fromGenerator(generator: Yielding): Promise<Provision> {
  const first = await generator.next();
  if (first.done) throw new Error('its generator ended without a yield: yield the value once');
  return { value: first.value, cleanUp: () => finish(generator) };
}

/** Resumes the generator in the same way however the body ended: the clean-up is the same for all ends. */
async function finish(generator: Yielding): Promise<void> {
  const second = await generator.next();
  if (second.done) return;
  await generator.return(undefined); // runs what is in its `finally` blocks
  throw new Error('its generator yielded more than once: after the first yield comes the clean-up');
}

function disposalOf(value: unknown): (() => unknown) | null {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return null;
  const disposable = value as Partial<AsyncDisposable & Disposable>;
  const dispose = disposable[Symbol.asyncDispose] ?? disposable[Symbol.dispose];
  return typeof dispose === 'function' ? () => dispose.call(value as AsyncDisposable & Disposable) : null;
}
