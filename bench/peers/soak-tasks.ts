/** The tasks of the soak, one for each way that an execution can go. The worker's threads load this file. */
import { collection, concurrencyLimit, retry, task } from 'docket';

export interface SoakArguments {
  readonly index: number;
  readonly customer: number;
  readonly text: string;
}

export const plain = task('plain', ({ index }: SoakArguments) => index);

export const limited = task(
  'limited',
  { limits: [concurrencyLimit('customer', { max: 2 })] },
  ({ index }: SoakArguments) => index,
);

/** Its first attempt fails. */
export const retried = task('retried', { retry: retry({ attempts: 2 }) }, ({ index }: SoakArguments, ctx) => {
  if (ctx.attempt === 1) throw new Error(`the first attempt of ${index}`);
  return index;
});

export const reporting = task('reporting', ({ index, text }: SoakArguments, { progress }) => {
  progress.setTotal(2);
  progress.increment();
  progress.setMessage(text.slice(0, 20));
  progress.increment();
  return index;
});

export const tasks = collection(plain, limited, retried, reporting);
