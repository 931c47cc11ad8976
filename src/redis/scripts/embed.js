// Writes what is generated from ../schema.ts and the Lua files of this folder: ../scripts.generated.ts, and the tables of
// README.md. With --check it writes nothing and fails when they are stale.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { loadSchema } from './schema-loader.js';
import { luaNames, substitute } from './substitute.js';

const fileUrl = (name) => new URL(name, import.meta.url);
const read = (name) => readFileSync(fileUrl(name), 'utf8');

function embeddedScripts({ values }) {
  const names = luaNames(values);
  const problems = [];
  const scripts = readdirSync(fileUrl('.'))
    .filter((file) => file.endsWith('.lua') && !file.startsWith('_'))
    .sort()
    .map((file) => {
      const source = substitute(file, read, names, problems);
      const sha = createHash('sha1').update(source).digest('hex');
      const script = file.slice(0, -'.lua'.length);
      const property = /^[a-z]+$/.test(script) ? script : `'${script}'`;
      return `  ${property}: {\n    sha: '${sha}',\n    source: ${JSON.stringify(source)},\n  },`;
    });
  if (problems.length > 0) {
    console.error([...new Set(problems)].map((problem) => `src/redis/scripts/${problem}`).join('\n'));
    process.exit(1);
  }
  const head = '// Generated from schema.ts and scripts/*.lua by scripts/embed.js. Do not edit.';
  return `${head}\nexport const SCRIPTS = {\n${scripts.join('\n')}\n};\n`;
}

/** README.md with new tables between its markers, `<!-- schema GROUP -->` and `<!-- end -->`. */
function readmeWithTables({ values, docs }) {
  return read('README.md').replace(/(<!-- schema (\w+) -->\n)[\s\S]*?(<!-- end -->)/g, (_, begin, group, end) => {
    const rows = Object.entries(values[group]).map(([name, value]) => {
      const shown = value === '' ? ' ' : value.replace(/:$/, ':…');
      return [`\`${shown}\``, `\`${group}.${name}\``, docs.get(`${group}.${name}`)];
    });
    const lines = [['in Redis', 'in the code', 'meaning'], ['---', '---', '---'], ...rows];
    return `${begin}\n${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n\n${end}`;
  });
}

const schema = await loadSchema();
for (const [file, generated] of [
  ['../scripts.generated.ts', embeddedScripts(schema)],
  ['README.md', readmeWithTables(schema)],
]) {
  if (existsSync(fileUrl(file)) && read(file) === generated) continue;
  if (process.argv.includes('--check')) {
    console.error(`src/redis/scripts/${file} is stale: run npm run build and commit it`);
    process.exitCode = 1;
  } else {
    writeFileSync(fileUrl(file), generated);
  }
}
