/** Set-up of each file for `npm run test:coverage`. */
import { stopCoverage, takeCoverage } from 'node:v8';
import { afterAll, expect } from 'vitest';
import { needsSources } from './needs-sources.js';

// What vitest has transformed has other positions than the sources that it names.
if (needsSources(expect.getState().testPath!)) stopCoverage();
// vitest ends its processes by a signal, before which they must write what they have run.
else afterAll(() => takeCoverage());
