/** Set-up of each file for `npm run test:coverage`: vitest ends its processes by a signal, so they write before that. */
import { takeCoverage } from 'node:v8';
import { afterAll } from 'vitest';

afterAll(() => takeCoverage());
