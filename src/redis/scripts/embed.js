// Writes the Lua files of this folder, includes resolved and comments removed, into ../scripts.generated.ts.
// With --check it only says whether that file is up to date.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('.', import.meta.url));
const target = fileURLToPath(new URL('../scripts.generated.ts', import.meta.url));

const read = (name) => readFileSync(`${folder}/${name}.lua`, 'utf8');

function embed(name) {
  const lines = read(name).replace(/^--@include (\w+)$/gm, (_, included) => read(`_${included}`).trimEnd());
  return lines
    .split('\n')
    .map((line) => line.replace(/(^|\s)-- .*$/, '').trimEnd())
    .filter((line) => line.trim() !== '')
    .join('\n');
}

const names = readdirSync(folder)
  .filter((file) => file.endsWith('.lua') && !file.startsWith('_'))
  .map((file) => file.slice(0, -4))
  .sort();

const body = names.map((name) => {
  const source = embed(name);
  const sha = createHash('sha1').update(source).digest('hex');
  const property = /^[a-z]+$/.test(name) ? name : `'${name}'`;
  return `  ${property}: {\n    sha: '${sha}',\n    source: ${JSON.stringify(source)},\n  },`;
});
const generated = `// Generated from scripts/*.lua by scripts/embed.js. Do not edit.\nexport const SCRIPTS = {\n${body.join('\n')}\n} as const;\n`;

let current = '';
try {
  current = readFileSync(target, 'utf8');
} catch {
  // not there yet
}
if (process.argv.includes('--check')) {
  if (current !== generated) {
    console.error('src/redis/scripts.generated.ts is stale: run npm run build and commit it');
    process.exit(1);
  }
} else if (current !== generated) {
  writeFileSync(target, generated);
}
