/** The packages that come with an install of docket, and the installed package without its optional parts. */
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runModule } from '../support/child.js';
import { installInto, manifest } from '../support/installed.js';

interface Locked {
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly engines?: { readonly node?: string };
}

/** The packages that an install of docket brings, as the lock file knows them. */
const installed = Object.entries(
  (JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Locked> }).packages,
).filter(([path, locked]) => path !== '' && !locked.dev && !locked.devOptional);

test('no package that docket installs has an install script, which pnpm refuses and others warn about', () => {
  expect(installed.length).toBeGreaterThan(Object.keys(manifest.dependencies).length);
  expect(installed.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path)).toEqual([]);
});

test('no package that docket installs asks for a newer Node than docket does', () => {
  const acceptsNode20 = (range: string) =>
    range.split('||').some((part) => /^\s*\*/.test(part) || Number(/^\s*>=?\s*(\d+)/.exec(part)?.[1]) <= 20);
  const refusing = installed.filter(([, { engines }]) => engines?.node && !acceptsNode20(engines.node));
  expect(refusing.map(([path]) => path)).toEqual([]);
});

test('the installed package loads with its dependencies alone, and memory:// says what else it needs', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'installed-'));
  installInto(folder);
  const { code, stdout, stderr } = await runModule(
    `
      import { Docket } from 'docket';
      import 'docket/worker';
      const docket = new Docket({ url: 'memory://' });
      await docket.add('note', {}).catch((error) => console.log(error.code, error.message));
      await docket.close();
    `,
    {},
    folder,
  );
  const range = manifest.peerDependencies['js-redis-server']!.replace(/^\^|\.0$/g, '');
  expect({ code, stdout, stderr }).toEqual({
    code: 0,
    stdout: `DOCKET_REDIS_UNAVAILABLE memory://default needs a package that docket does not install: npm install --save-dev js-redis-server@${range}\n`,
    stderr: '',
  });
});
