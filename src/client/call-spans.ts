/** Spans around the calls of one docket, for processes that have registered an OpenTelemetry provider. */
import type { AnyTask } from '../tasks/task.js';
import { type Attributes, type Tracer, Tracing } from '../tracing/tracing.js';
import { taskNameOf } from './task-name.js';

/** The subject of a call, as its span shows it. */
export interface SpanSubject {
  readonly task?: AnyTask | string | null;
  readonly key?: string;
}

export class CallSpans {
  readonly #docket: string;
  readonly #tracing = new Tracing();

  constructor(docket: string) {
    this.#docket = docket;
  }

  /**
   * Returns the tracer; `null` when no provider is registered. It is a promise only until the API package is loaded, so
   * that an `add` does not wait needlessly.
   */
  tracer(): Tracer | null | Promise<Tracer | null> {
    return this.#tracing.mustLoad ? this.#load() : this.#tracing.tracer;
  }

  /** Runs `work`, inside a span if a provider is registered; `headers` carry its context to the execution. */
  async run<T>(
    operation: string,
    kind: 'producer' | 'client',
    subject: SpanSubject,
    work: (headers: string | null) => Promise<T>,
  ): Promise<T> {
    const found = this.tracer();
    const tracer = found instanceof Promise ? await found : found;
    if (!tracer) return await work(null);
    return await tracer.produce(spanName(operation, subject.task), kind, this.attributes(subject), work);
  }

  /** Returns the attributes of a span about `subject`. */
  attributes({ task, key }: SpanSubject): Attributes {
    const name = taskNameOf(task ?? null);
    return {
      'docket.name': this.#docket,
      ...(typeof name === 'string' && { 'docket.task': name }),
      ...(key !== undefined && { 'docket.key': key }),
    };
  }

  async #load(): Promise<Tracer | null> {
    await this.#tracing.load();
    return this.#tracing.tracer;
  }
}

/** Names the span of a call: `docket.add charge`. */
export function spanName(operation: string, task: AnyTask | string | null = null): string {
  const name = taskNameOf(task);
  return typeof name === 'string' ? `docket.${operation} ${name}` : `docket.${operation}`;
}
