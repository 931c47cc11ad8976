/** `npm run bench:readme`: writes the saved results of `bench/results` into `bench/README.md`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { SCENARIOS } from './registry.js';
import { replaceResults, resultsMarkdown } from './support/markdown.js';
import { readSaved } from './support/results.js';

const README = 'bench/README.md';
const RESULTS = 'results';

const saved = readSaved(`bench/${RESULTS}`);
const inOrder = SCENARIOS.flatMap(({ name }) => saved.get(name) ?? []);
writeFileSync(README, replaceResults(readFileSync(README, 'utf8'), resultsMarkdown(inOrder, RESULTS)));
