/** The code in README and `docs` compiles. */
import * as docket from 'docket';
import { expect, test } from 'vitest';
import { problemsOf } from '../../support/compile-blocks.js';
import { blocksOf, USER_DOCUMENTS } from '../../support/documents.js';

test('every block of TypeScript and JavaScript in the documents compiles', { timeout: 180_000 }, () => {
  const blocks = USER_DOCUMENTS.flatMap(blocksOf).filter(({ language }) => language === 'ts' || language === 'js');
  expect(blocks.length).toBeGreaterThan(30);
  expect(problemsOf(blocks, Object.keys(docket))).toEqual([]);
});
