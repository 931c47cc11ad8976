/**
 * Releases docket: `npm run release -- 0.2.0`, or `patch`, `minor`, `major`; `--dry-run` changes nothing and says what would be.
 * A dry run only notes what differs from commit to commit, such as a changelog with nothing new, so that CI can run it on each.
 *
 * All that can be wrong is looked at before anything changes: the version, the changelog, the working tree, the tests. Then
 * the version and the changelog are committed and tagged, and the package is published with its provenance, which npm
 * attests in a CI job only. Pushing the commit and the tag is the last step, and is left to the one who releases.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

class Refusal extends Error {}

function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { 'dry-run': { type: 'boolean', default: false } },
  });
  const isDry = values['dry-run'];
  const { version: current, repository } = JSON.parse(readFileSync('package.json', 'utf8'));
  const version = nextVersion(current, positionals);
  const tag = `v${version}`;
  if (git('tag', '--list', tag) !== '') throw new Refusal(`there is a tag ${tag} already`);
  const home = repository.url.replace(/^git\+|\.git$/g, '');
  const changelog = releasedChangelog(readFileSync('CHANGELOG.md', 'utf8'), version, home);
  const obstacles = obstaclesOfToday(changelog);

  if (isDry) {
    npm('pack', '--dry-run', '--ignore-scripts', '--loglevel', 'error'); // 'publish --dry-run' asks the registry since npm 11
    for (const obstacle of obstacles) console.log(`note: ${obstacle}`);
    const verdict = obstacles.length > 0 ? 'could be released but for that' : 'can be released';
    console.log(`${tag} ${verdict}: nothing was changed, and the checks were left out`);
    return;
  }
  if (obstacles.length > 0) throw new Refusal(obstacles.join('\n'));
  npm('run', 'check');
  const changes = git('status', '--porcelain');
  if (changes !== '') throw new Refusal(`these files changed while the checks ran:\n${changes}`);
  npm('version', version, '--no-git-tag-version', '--allow-same-version');
  writeFileSync('CHANGELOG.md', changelog);
  git('commit', '--all', '--message', `Release ${version}`);
  git('tag', '--annotate', tag, '--message', `docket ${version}`);
  try {
    npm('publish', '--provenance', '--access', 'public');
  } catch (error) {
    throw new Refusal(
      `npm published nothing; git tag -d ${tag} && git reset --hard HEAD~1 undoes it (${error.message})`,
    );
  }
  console.log(`${version} is published; now: git push --follow-tags`);
}

/** Returns the version that the arguments ask for: newer than the current one, or that one when it was never released. */
function nextVersion(current, positionals) {
  const [wanted, ...others] = positionals;
  if (wanted === undefined || others.length > 0)
    throw new Refusal('usage: release <version|patch|minor|major> [--dry-run]');
  const [major, minor, patch] = current.split('.').map(Number);
  const steps = { patch: [major, minor, patch + 1], minor: [major, minor + 1, 0], major: [major + 1, 0, 0] };
  const version = Object.hasOwn(steps, wanted) ? steps[wanted].join('.') : wanted;
  if (!/^(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2}$/.test(version))
    throw new Refusal(`'${wanted}' is no version: 1.2.3, patch, minor or major`);
  if (version.localeCompare(current, 'en', { numeric: true }) < 0)
    throw new Refusal(`${version} is older than ${current}`);
  return version;
}

/** What keeps this commit from being released, while nothing is wrong with the way in which releases are made. */
function obstaclesOfToday(changelog) {
  const changes = git('status', '--porcelain');
  return [
    ...(changes === '' ? [] : [`the working tree has changes that are not committed:\n${changes}`]),
    ...(changelog === null ? ['CHANGELOG.md has nothing that is unreleased'] : []),
  ];
}

/**
 * Moves what is unreleased under the version and the date of today. Text before the first heading of it is left out. Returns
 * `null` when there is nothing.
 */
function releasedChangelog(text, version, home) {
  const [, before, unreleased, after] =
    /^([\s\S]*?^## \[Unreleased\]\n)([\s\S]*?)(^## \[[\s\S]*|^\[Unreleased\]: [\s\S]*)$/m.exec(text) ?? [];
  if (unreleased === undefined)
    throw new Refusal('CHANGELOG.md has no section [Unreleased], or no link for it at its end');
  const start = unreleased.search(/^### /m);
  if (start < 0) return null;
  const today = new Date().toISOString().slice(0, 10);
  const links = `[Unreleased]: ${home}/compare/v${version}...main\n[${version}]: ${home}/releases/tag/v${version}`;
  const rest = after.replace(/^\[Unreleased\]: .*$/m, links);
  return `${before}\n## [${version}] - ${today}\n\n${unreleased.slice(start)}${rest}`;
}

function git(...args) {
  return execFileSync('git', args, { encoding: 'utf8' }).trim();
}

function npm(...args) {
  execFileSync('npm', args, { stdio: 'inherit' });
}

try {
  main();
} catch (error) {
  console.error(`release: ${error.message}`);
  process.exitCode = error instanceof Refusal ? 2 : 1;
}
