/** Which files of tests `npm run test:coverage` leaves on the sources; all others meet the built package there. */
import { readFileSync } from 'node:fs';

/** Only a module that vitest loads can be replaced, and fixtures of the loader import the sources. */
export function needsSources(file: string): boolean {
  return /\bloader\b/.test(file) || readFileSync(file, 'utf8').includes('vi.mock(');
}
