/** Reduces all styles of factories to one form: a value, and the function that cleans it up. */
import { types } from 'node:util';

/** The product of a factory. */
export interface Provision {
  readonly value: unknown;
  /** `null` when there is nothing to clean up. */
  readonly cleanUp: (() => unknown) | null;
}

/**
 * Waits for the value of a factory, which has returned the value, a promise or a generator that yields it.
 * @param made - the return value of the factory
 * @param borrowed - values that belong to other factories, and are not disposed when this factory returns one of them
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
  if (first.done) throw new Error('its generator ended without a yield: it must yield the value once');
  return { value: first.value, cleanUp: () => finish(generator) };
}

/** Resumes the generator after the yield, where its clean-up is. It is resumed the same way however the body ended. */
async function finish(generator: Yielding): Promise<void> {
  const second = await generator.next();
  if (second.done) return;
  await generator.return(undefined); // runs its `finally` blocks
  throw new Error('its generator yielded more than once: only its clean-up may follow the first yield');
}

function disposalOf(value: unknown): (() => unknown) | null {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return null;
  const disposable = value as Partial<AsyncDisposable & Disposable>;
  const dispose = disposable[Symbol.asyncDispose] ?? disposable[Symbol.dispose];
  return typeof dispose === 'function' ? () => dispose.call(value as AsyncDisposable & Disposable) : null;
}
