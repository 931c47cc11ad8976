/**
 * Uses the packed tarball as strangers do: package managers, versions of Node and TypeScript, bundlers. Writes a table, and
 * fails when a case does. Without arguments all groups run; `node tools/check-packages.js types bundlers` runs some.
 * It needs `dist`, redis-server and the npm registry. NODE_22 and the like may name executables of Node to use.
 */
import { bundlerCases } from './packages/bundlers.js';
import { installCases } from './packages/installs.js';
import { jestCases } from './packages/jest.js';
import { pack, startRedis } from './packages/project.js';
import { quickStartCases } from './packages/quick-starts.js';
import { typeCases } from './packages/types.js';

const GROUPS = {
  'quick-starts': quickStartCases,
  installs: installCases,
  jest: jestCases,
  types: typeCases,
  bundlers: bundlerCases,
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(GROUPS, name));
if (unknown.length > 0) {
  console.error(`check-packages: no group ${unknown.join(', ')}, there are ${Object.keys(GROUPS).join(', ')}`);
  process.exit(2);
}

const tarball = await pack();
const redis = await startRedis();
let failed = 0;
console.log('| case | result |\n| --- | --- |');
for (const name of wanted.length > 0 ? wanted : Object.keys(GROUPS)) {
  for (const [title, check] of await GROUPS[name](tarball, redis)) {
    try {
      console.log(`| ${title} | ok: ${await check()} |`);
    } catch (error) {
      failed++;
      console.log(`| ${title} | failed |`);
      console.error(`${title}: ${error.message}\n`);
    }
  }
}
process.exit(failed > 0 ? 1 : 0);
