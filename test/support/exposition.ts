/** Reads Prometheus' text format as strictly as promtool does: what it would complain of is thrown. */

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const HELP = new RegExp(`^# HELP (${NAME}) (.+)$`);
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram|summary)$`);
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`);
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;
const VALUE = /^[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)$/;

export class Exposition {
  readonly families = new Map<string, Family>();

  /** @throws for the first line that is not as it must be */
  constructor(text: string) {
    if (!text.endsWith('\n')) throw new Error('the last line has no end');
    let family: { name: string; type: string; help: string; samples: Sample[] } | undefined;
    const lines = text.split('\n').slice(0, -1);
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i]!;
      if (line === '') continue;
      const help = HELP.exec(line);
      if (help) {
        const [, name, about] = help as unknown as [string, string, string];
        const type = TYPE.exec(lines[++i] ?? '');
        if (type?.[1] !== name) throw new Error(`no TYPE follows: ${line}`);
        if (this.families.has(name)) throw new Error(`a second family ${name}`);
        family = { name, type: type[2]!, help: about, samples: [] };
        this.families.set(name, family);
        continue;
      }
      const sample = sampleOf(line);
      if (!family || !belongs(sample.name, family)) throw new Error(`a sample without its family: ${line}`);
      family.samples.push(sample);
    }
    for (const one of this.families.values()) check(one);
  }

  /** The value of the one sample that has these labels, among others. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const found = this.samples(name, labels);
    if (found.length !== 1) throw new Error(`${found.length} samples of ${name} with ${JSON.stringify(labels)}`);
    return found[0]!.value;
  }

  samples(name: string, labels: Readonly<Record<string, string>> = {}): Sample[] {
    const all = [...this.families.values()].flatMap((family) => family.samples);
    return all.filter(
      (one) => one.name === name && Object.entries(labels).every(([label, value]) => one.labels[label] === value),
    );
  }
}

function sampleOf(line: string): Sample {
  const [, name, inner = '', value] = SAMPLE.exec(line) ?? [];
  if (name === undefined || !VALUE.test(value!)) throw new Error(`not a sample: ${line}`);
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < inner.length) {
    const label = LABEL.exec(inner);
    if (!label) throw new Error(`not labels: ${line}`);
    if (label[1]! in labels) throw new Error(`a label twice: ${line}`);
    labels[label[1]!] = label[2]!.replace(/\\(.)/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped));
  }
  return { name, labels, value: Number(value!.replace('Inf', 'Infinity')) };
}

function belongs(sample: string, { name, type }: { name: string; type: string }): boolean {
  if (type === 'summary') return [name, `${name}_sum`, `${name}_count`].includes(sample);
  return type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`].includes(sample) : sample === name;
}

function check({ name, type, samples }: Family): void {
  const seen = new Set(samples.map((one) => `${one.name} ${JSON.stringify(Object.entries(one.labels).sort())}`));
  if (seen.size < samples.length) throw new Error(`a sample twice in ${name}`);
  if (type === 'counter' && !name.endsWith('_total')) throw new Error(`a counter's name ends in _total: ${name}`);
  if (type !== 'counter' && name.endsWith('_total')) throw new Error(`only a counter's name ends in _total: ${name}`);
  if (type === 'counter' && samples.some(({ value }) => !(value >= 0))) throw new Error(`${name} is below 0`);
  if (type === 'histogram') checkHistogram(name, samples);
  const isQuantile = (one: Sample) => 'quantile' in one.labels;
  if (type !== 'summary' && samples.some(isQuantile)) throw new Error(`only a summary has quantiles: ${name}`);
  if (type !== 'histogram' && samples.some(({ labels }) => 'le' in labels)) throw new Error(`${name} has buckets`);
  if (type === 'summary') {
    const parts = new Set(samples.filter((one) => !isQuantile(one)).map((one) => one.name));
    if (parts.size !== 2 || parts.has(name)) throw new Error(`${name} lacks a sum or a count`);
  }
}

function checkHistogram(name: string, samples: readonly Sample[]): void {
  const series = new Map<string, Sample[]>();
  for (const sample of samples) {
    const { le: _, ...labels } = sample.labels;
    const id = JSON.stringify(Object.entries(labels).sort());
    series.set(id, [...(series.get(id) ?? []), sample]);
  }
  for (const all of series.values()) {
    const buckets = all.filter((one) => one.name === `${name}_bucket`);
    const bounds = buckets.map((one) => Number(one.labels.le!.replace('Inf', 'Infinity')));
    const isRising = (values: readonly number[]) => values.every((value, i) => i === 0 || value >= values[i - 1]!);
    if (!isRising(bounds) || bounds.at(-1) !== Infinity) throw new Error(`the buckets of ${name} are out of order`);
    if (!isRising(buckets.map((one) => one.value))) throw new Error(`the buckets of ${name} do not add up`);
    const count = all.find((one) => one.name === `${name}_count`);
    const sum = all.find((one) => one.name === `${name}_sum`);
    if (count?.value !== buckets.at(-1)!.value || !sum) throw new Error(`${name} lacks a sum, or its count is wrong`);
  }
}
