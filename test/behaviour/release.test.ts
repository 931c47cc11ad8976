/** The release script, in a repository of its own, with an npm that publishes nothing. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../../tools/release.js', import.meta.url));
const CHANGELOG = `# Changelog

## [Unreleased]

Soon.

### Added

- A thing.

[Unreleased]: https://example.com/docket/commits/main
`;

/** A repository with one commit, and an npm that writes down its arguments; of them, only `version` is done. */
function makeRepository({ failing = '', changing = '' } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'release-'));
  const tools = mkdtempSync(join(tmpdir(), 'release-tools-'));
  const log = join(tools, 'log');
  const stub = `#!/bin/sh
echo "$*" >> '${log}'
if [ "$1" = '${failing}' ]; then exit 1; fi
if [ "$1" = '${changing}' ]; then echo more >> CHANGELOG.md; fi
if [ "$1" = version ]; then sed -i "s/\\"version\\": \\"[^\\"]*\\"/\\"version\\": \\"$2\\"/" package.json; fi
`;
  writeFileSync(join(tools, 'npm'), stub);
  chmodSync(join(tools, 'npm'), 0o755);
  const manifest = { name: 'x', version: '0.1.0', repository: { url: 'git+https://example.com/docket.git' } };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest, null, 2));
  writeFileSync(join(folder, 'CHANGELOG.md'), CHANGELOG);
  const identity = { name: 'Ada', email: 'ada@example.com' };
  const env = {
    ...process.env,
    PATH: `${tools}${delimiter}${process.env.PATH}`,
    GIT_AUTHOR_NAME: identity.name,
    GIT_AUTHOR_EMAIL: identity.email,
    GIT_COMMITTER_NAME: identity.name,
    GIT_COMMITTER_EMAIL: identity.email,
  };
  const git = (...args: string[]) => execFileSync('git', args, { cwd: folder, env, encoding: 'utf8' }).trim();
  git('init', '--quiet');
  git('add', '.');
  git('commit', '--quiet', '--message', 'Begin');
  return {
    git,
    file: (name: string) => readFileSync(join(folder, name), 'utf8'),
    change: (name: string, text: string) => writeFileSync(join(folder, name), text),
    calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []),
    release(...args: string[]) {
      const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...args], {
        cwd: folder,
        env,
        encoding: 'utf8',
      });
      return { status, stdout, stderr };
    },
  };
}

test('a release checks, moves what is unreleased under its version and date, commits, tags and publishes', () => {
  const { release, calls, file, git } = makeRepository();
  expect(release('minor')).toEqual({
    status: 0,
    stdout: '0.2.0 is published; now: git push --follow-tags\n',
    stderr: '',
  });
  expect(calls()).toEqual([
    'run check',
    'version 0.2.0 --no-git-tag-version --allow-same-version',
    'publish --provenance --access public',
  ]);
  expect(JSON.parse(file('package.json')).version).toBe('0.2.0');
  expect(file('CHANGELOG.md').replace(/\d{4}-\d\d-\d\d/, 'DATE')).toBe(`# Changelog

## [Unreleased]

## [0.2.0] - DATE

### Added

- A thing.

[Unreleased]: https://example.com/docket/compare/v0.2.0...main
[0.2.0]: https://example.com/docket/releases/tag/v0.2.0
`);
  expect(git('status', '--porcelain')).toBe('');
  expect(git('describe', '--exact-match')).toBe('v0.2.0');
  expect(release('patch')).toMatchObject({
    status: 2,
    stderr: 'release: CHANGELOG.md has nothing that is unreleased\n',
  });
});

test('a dry run changes nothing', () => {
  const { release, calls, file, git } = makeRepository();
  const before = git('rev-parse', 'HEAD');
  expect(release('0.1.0', '--dry-run')).toMatchObject({ status: 0, stderr: '' });
  expect(calls()).toEqual(['pack --dry-run --ignore-scripts --loglevel error']);
  expect(file('CHANGELOG.md')).toBe(CHANGELOG);
  expect([git('status', '--porcelain'), git('tag'), git('rev-parse', 'HEAD')]).toEqual(['', '', before]);
});

test('a dry run notes what differs from commit to commit, and fails for what no commit may have', () => {
  const { release, change, git } = makeRepository();
  change('CHANGELOG.md', CHANGELOG.replace(/### Added[\s\S]*thing\.\n/, ''));
  git('tag', 'v0.1.0');
  const { status, stdout, stderr } = release('patch', '--dry-run');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/^note: the working tree has changes that are not committed:\n ?M CHANGELOG\.md\n/);
  expect(stdout).toMatch(
    /note: CHANGELOG\.md has nothing that is unreleased\nv0\.1\.1 could be released but for that:/,
  );
  expect(release('patch').status).toBe(2);
  expect(release('0.1.0', '--dry-run')).toMatchObject({
    status: 2,
    stderr: 'release: there is a tag v0.1.0 already\n',
  });
  change('CHANGELOG.md', '# Changelog\n');
  expect(release('patch', '--dry-run').stderr).toMatch(/has no section \[Unreleased\]/);
});

test('nothing changes when the checks fail', () => {
  const { release, git } = makeRepository({ failing: 'run' });
  expect(release('minor').status).toBe(1);
  expect([git('status', '--porcelain'), git('tag')]).toEqual(['', '']);
});

test('nothing is released with what changed while the checks ran', () => {
  const { release, calls, git } = makeRepository({ changing: 'run' });
  const { status, stderr } = release('minor');
  expect({ status, stderr }).toEqual({
    status: 2,
    stderr: expect.stringMatching(/^release: these files changed while the checks ran:\n ?M CHANGELOG\.md\n$/),
  });
  expect(calls()).toEqual(['run check']);
  expect([git('tag'), git('rev-list', '--count', 'HEAD')]).toEqual(['', '1']);
});

test('a release whose publication fails says how it is undone', () => {
  const { release } = makeRepository({ failing: 'publish' });
  const { status, stderr } = release('minor');
  expect(status).toBe(2);
  expect(stderr).toContain('git tag -d v0.2.0 && git reset --hard HEAD~1');
});

test('a tree with changes, a tag that is there, and a version that is none or old are refused', () => {
  const { release, change, git } = makeRepository();
  expect(release('next').stderr).toMatch(/'next' is no version/);
  expect(release('01.2.3').stderr).toMatch(/'01\.2\.3' is no version/);
  expect(release('0.0.9').stderr).toMatch(/0\.0\.9 is older than 0\.1\.0/);
  expect(release().stderr).toMatch(/usage/);
  git('tag', 'v0.1.0');
  expect(release('0.1.0').stderr).toMatch(/there is a tag v0\.1\.0/);
  change('CHANGELOG.md', CHANGELOG.replace('A thing', 'Another thing'));
  expect(release('minor').stderr).toMatch(/not committed:\nM CHANGELOG\.md|not committed:\n M CHANGELOG\.md/);
});
