/** Work that needs only CPU, and always the same amount of it: a chain of SHA-256. */
import { createHash } from 'node:crypto';

export interface Rounds {
  readonly rounds: number;
}

/** Piscina runs this export as it is; docket runs it as a task. */
export default function hashRounds({ rounds }: Rounds): string {
  let digest = 'docket';
  for (let i = 0; i < rounds; i++) digest = createHash('sha256').update(digest).digest('hex');
  return digest.slice(0, 8);
}
