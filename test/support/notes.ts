/** A file in which tasks note what they do: from any thread or process, and from a loop that never yields. */

import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from './wait.js';

export interface Notes {
  readonly file: string;
  /** All lines, in the order in which they were written. */
  all(): string[];
  /** Lines whose first word is this one, without it. */
  of(word: string): string[];
  /** Waits until a line was written so often. */
  written(line: string, times?: number): Promise<void>;
  /** Lets those go on that wait at this gate, and all who come later. */
  open(gate: string): void;
}

/** Begins a file of notes; it goes with the temporary folder of the run. */
export function takeNotes(): Notes {
  const file = join(mkdtempSync(join(tmpdir(), 'docket-notes-')), 'notes');
  const all = () => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []);
  return {
    file,
    all,
    of: (word) =>
      all()
        .filter((line) => line.startsWith(`${word} `))
        .map((line) => line.slice(word.length + 1)),
    async written(line, times = 1) {
      await waitFor(() => all().filter((one) => one === line).length >= times);
    },
    open: (gate) => writeFileSync(`${file}.${gate}`, ''),
  };
}
