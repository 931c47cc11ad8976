/**
 * Copies msgpackr into the built package, and makes the built modules import that copy.
 *
 * As a dependency, msgpackr brings an addon with an install script: pnpm refuses it, npm and yarn warn about it. Docket
 * needs only two modules of msgpackr, which import nothing. This runs after the compiler, any number of times.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const installed = dirname(fileURLToPath(import.meta.resolve('msgpackr')));
const built = fileURLToPath(new URL('../../dist/src/', import.meta.url));
const copy = join(built, 'vendor/msgpackr');

mkdirSync(copy, { recursive: true });
for (const file of ['pack.js', 'unpack.js', 'index.d.ts', 'LICENSE'])
  copyFileSync(join(installed, file), join(copy, file));
writeFileSync(join(copy, 'index.js'), `export { Packr } from './pack.js';\nexport { Unpackr } from './unpack.js';\n`);

for (const file of readdirSync(built, { recursive: true })) {
  if (!/\.(js|d\.ts)$/.test(file)) continue;
  const path = join(built, file);
  const text = readFileSync(path, 'utf8');
  const own = relative(dirname(path), join(copy, 'index.js')).replaceAll('\\', '/');
  const changed = text.replace(/(?<=\bfrom )'msgpackr'/g, `'${own}'`);
  if (changed !== text) writeFileSync(path, changed);
}
