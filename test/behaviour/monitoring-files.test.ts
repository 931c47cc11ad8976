/**
 * The dashboard, the alert rules and what compose needs to use them: they name metrics that exist, and Prometheus takes them.
 * `promtool` checks the latter; where it is not installed, these tests are left out and say so.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { openFleet } from '../support/fleet.js';
import { scrape } from '../support/probes.js';
import { describeOnRedis } from '../support/suites.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

const RULES = 'docker/alert-rules.yaml';
const DASHBOARD = 'docker/grafana-dashboard.json';
const METRIC = /\b(?:docket|process|nodejs)_[a-z_]+/g;

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}

const dashboard = JSON.parse(read(DASHBOARD)) as { readonly panels: readonly Panel[] };
const expressions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

/** The metrics that a text names, sorted. */
const namesIn = (text: string) => [...new Set(text.match(METRIC) ?? [])].sort();

describeOnRedis('every metric', (url) => {
  /** The names of all samples and families of a worker that has run something. */
  async function names(): Promise<{ readonly samples: Set<string>; readonly families: string[] }> {
    const fleet = await openFleet(url());
    const running = await fleet.worker({ metricsPort: 0, threads: 1 });
    await (await fleet.docket.add('echo', { value: 1 })).result();
    const { families } = await scrape(running);
    const all = [...families.values()].filter(({ samples }) => samples.length > 0);
    const samples = new Set(all.flatMap((family) => family.samples.map(({ name }) => name)));
    return { samples, families: all.map(({ name }) => name) };
  }

  test('that the dashboard and the alert rules name is in a scrape', async () => {
    const { samples } = await names();
    const rules = namesIn(read(RULES).replace(/^ *#.*$/gm, ''));
    for (const named of [rules, namesIn(expressions.join('\n'))]) {
      expect(named.length).toBeGreaterThan(8);
      expect(named.filter((name) => !samples.has(name))).toEqual([]);
    }
  });

  test('of docket is in the table of docs/observability.md, and those there are in a scrape', async () => {
    const { families } = await names();
    const rows = read('docs/observability.md').match(/^\| `docket_.*$/gm)!;
    const documented = namesIn(rows.map((row) => row.split('|')[1]).join());
    expect(documented).toEqual(families.filter((name) => name.startsWith('docket_')).sort());
  });
});

test('each alert is in docs/observability.md, with what to do', () => {
  const alerts = Array.from(read(RULES).matchAll(/- alert: (\w+)/g), ([, name]) => name);
  const documented = Array.from(read('docs/observability.md').matchAll(/^\| `(Docket\w+)` \|/gm), ([, name]) => name);
  expect(documented).toEqual(alerts);
});

test('the panels of the dashboard have ids of their own and do not overlap', () => {
  const { panels } = dashboard;
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const overlaps = panels.flatMap((one, i) =>
    panels.slice(i + 1).flatMap((other) => {
      const [a, b] = [one.gridPos, other.gridPos];
      const isApart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
      return isApart ? [] : [`${one.title} and ${other.title}`];
    }),
  );
  expect(overlaps).toEqual([]);
  expect(panels.filter(({ gridPos }) => gridPos.x + gridPos.w > 24)).toEqual([]);
});

test('compose.yaml mounts files that exist', () => {
  const mounted = Array.from(read('docker/compose.yaml').matchAll(/^ +- \.\/(\S+?):/gm), ([, file]) => file!);
  expect(mounted.length).toBeGreaterThan(3);
  expect(mounted.filter((file) => !existsSync(join(ROOT, 'docker', file)))).toEqual([]);
});

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
const leftOut = hasPromtool ? '' : " [left out: there is no promtool on the path; Debian's package prometheus has it]";

describe.skipIf(!hasPromtool)(`promtool${leftOut}`, () => {
  const promtool = (...args: string[]) => execFileSync('promtool', args, { cwd: ROOT, encoding: 'utf8' });

  test('takes the alert rules, and the settings that name them', () => {
    expect(promtool('check', 'rules', RULES)).toContain('SUCCESS');
    expect(promtool('check', 'config', 'docker/prometheus.yaml')).toContain('SUCCESS');
  });

  test('sees each alert raised by the series that should raise it, and none when nothing is wrong', () => {
    const files = ['test/fixtures/monitoring/alerts.yaml', 'test/fixtures/monitoring/lasting-alerts.yaml'];
    expect(promtool('test', 'rules', ...files)).toContain('SUCCESS');
    const tested = new Set(
      files
        .map(read)
        .join()
        .match(/alertname: Docket\w+\n/g),
    );
    expect(tested.size).toBe(read(RULES).match(/- alert:/g)!.length);
  });

  test('takes each expression of the dashboard', () => {
    const rules = expressions.map((expr, i) => ({
      record: `panel_${i}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$docket', '.*').replaceAll('$task', '.*'),
    }));
    expect(rules.map(({ expr }) => expr).filter((expr) => expr.includes('$'))).toEqual([]);
    const file = join(mkdtempSync(join(tmpdir(), 'docket-rules-')), 'rules.yaml');
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules }] })); // JSON is YAML
    expect(promtool('check', 'rules', '--lint=none', file)).toContain(`${rules.length} rules found`);
  });
});
