/** Keeps results in a folder: a file of its runs for each scenario, and the plots of its last run. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { drawSvg, plotsOf } from './plot.js';
import type { Result } from './result.js';

/** The runs of a scenario, in the order in which they were made. */
export interface SavedScenario {
  readonly scenario: string;
  readonly runs: readonly Result[];
}

/** Writes the runs of one scenario in place of those that were saved before. */
export function saveRuns(folder: string, runs: readonly Result[]): void {
  const { report } = runs.at(-1)!;
  mkdirSync(folder, { recursive: true });
  const saved: SavedScenario = { scenario: report.scenario, runs };
  writeFileSync(join(folder, `${report.scenario}.json`), `${JSON.stringify(saved, null, 1)}\n`);
  for (const plot of plotsOf(report)) {
    writeFileSync(join(folder, `${plot.name}.svg`), drawSvg(plot, 'light'));
    writeFileSync(join(folder, `${plot.name}-dark.svg`), drawSvg(plot, 'dark'));
  }
}

export function readSaved(folder: string): Map<string, SavedScenario> {
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  const saved = files.map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as SavedScenario);
  return new Map(saved.map((scenario) => [scenario.scenario, scenario]));
}
