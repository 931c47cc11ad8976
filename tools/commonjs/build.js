/**
 * Builds `dist/cjs` from `dist/src`: the same modules for `require` where Node's own is not used, as in Jest. Node never
 * loads them, because the condition `module-sync` comes first in `package.json`: there, `require` and `import` give the
 * same ES modules, so that no process has two copies.
 *
 * Its threads run the ES modules of `dist/src`, since Node starts them. There are no source maps: the modules keep their
 * names and lines of code.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SOURCE = join(ROOT, 'dist/src');
const TARGET = join(ROOT, 'dist/cjs');
const REQUIRING = fileURLToPath(new URL('./require-module.js', import.meta.url));
/** The entry points of the package, but not the commands. */
const ENTRIES = ['index', 'worker/index', 'dashboard/index', 'testing/index'];

rmSync(TARGET, { recursive: true, force: true });
const bundle = await rolldown({
  input: Object.fromEntries(ENTRIES.map((entry) => [entry, join(SOURCE, `${entry}.js`)])),
  platform: 'node',
  external: /^[^./]/,
  plugins: [
    {
      name: 'require-user-modules',
      load: (id) => (resolve(id) === join(SOURCE, 'tasks/import-module.js') ? readFileSync(REQUIRING, 'utf8') : null),
    },
  ],
});
await bundle.write({
  dir: TARGET,
  format: 'cjs',
  preserveModules: true,
  preserveModulesRoot: SOURCE,
  dynamicImportInCjs: false,
  comments: false,
});
await bundle.close();
writeFileSync(join(TARGET, 'package.json'), '{ "type": "commonjs" }\n');

/** The declarations are those of the ES modules: only the `package.json` beside them says which kind they describe. */
const declared = new Set();
const unread = ENTRIES.map((entry) => `${entry}.d.ts`);
for (let file = unread.pop(); file !== undefined; file = unread.pop()) {
  if (declared.has(file) || !existsSync(join(SOURCE, file))) continue; // comments have imports, too
  declared.add(file);
  mkdirSync(dirname(join(TARGET, file)), { recursive: true });
  copyFileSync(join(SOURCE, file), join(TARGET, file));
  for (const [, path] of readFileSync(join(SOURCE, file), 'utf8').matchAll(
    /(?:\bfrom |\bimport\(|\bimport )'(\.[^']+)\.js'/g,
  ))
    unread.push(join(dirname(file), `${path}.d.ts`));
}
