/**
 * Spans, through the API package of OpenTelemetry, if the process has it and has registered a provider. Until then nothing is
 * loaded and nothing is made: asking costs a look at one global.
 *
 * What travels is the context of the producer's span, in the header of the message: W3C's `traceparent` and `tracestate`,
 * written here and not by the process' propagator, since a link needs no more. Baggage stays behind: it would be stored with
 * each execution, and who reads Redis would read it.
 */
import type { Exception, Link, Span, SpanContext, SpanOptions } from '@opentelemetry/api';
import { describe, isError } from '../wire/error-codec.js';

type Api = typeof import('@opentelemetry/api');
export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** Where every copy of version 1 of the API keeps what was registered. */
const REGISTRY = Symbol.for('opentelemetry.js.api.1');
const TRACER = 'docket';

/** Gives the API once there is somebody to trace for. */
export class Tracing {
  #tracer: Tracer | null = null;
  #loading: Promise<void> | undefined;

  /** Who makes spans; `null` when nobody wants any, or as long as the API is not loaded. */
  get tracer(): Tracer | null {
    return hasProvider() ? this.#tracer : null;
  }

  /** Whether `load` must be waited for before `tracer` says what is true. */
  get mustLoad(): boolean {
    return this.#tracer === null && hasProvider();
  }

  /** Loads the API if a provider is registered. Never rejects: without the package there are no spans. */
  async load(): Promise<void> {
    if (!this.mustLoad) return;
    this.#loading ??= import('@opentelemetry/api').then(
      (api) => {
        this.#tracer = new Tracer(api);
      },
      () => undefined,
    );
    await this.#loading;
  }
}

/**
 * Makes spans around work. Samplers, processors and context managers are the user's: whatever they throw stays here, so that
 * the work begins once and its outcome is its own.
 */
export class Tracer {
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
  }

  /**
   * Runs `work` inside a span of what is active here; what it throws is recorded.
   * @param work - gets the header that tells later spans of this one; `null` when it is not recorded
   */
  async produce<T>(
    name: string,
    kind: 'producer' | 'client',
    attributes: Attributes,
    work: (headers: string | null, span: WorkSpan) => Promise<T>,
  ): Promise<T> {
    const { SpanKind } = this.#api;
    const spanKind = kind === 'producer' ? SpanKind.PRODUCER : SpanKind.CLIENT;
    return await this.#within(name, { kind: spanKind, attributes }, (span) => work(span.headers, span));
  }

  /**
   * Runs an attempt inside a span that is active in it. The span begins a trace of its own and links to the producer's: an
   * execution may run days later, be retried, or be one of many runs, and a trace that waits for it never ends.
   */
  async consume<T>(
    name: string,
    attributes: Attributes,
    headers: string | null,
    work: (span: WorkSpan) => Promise<T>,
  ): Promise<T> {
    const producer = headers === null ? null : this.#contextOf(headers);
    const links: Link[] = producer ? [{ context: producer }] : [];
    return await this.#within(name, { kind: this.#api.SpanKind.CONSUMER, attributes, links, root: true }, work);
  }

  async #within<T>(name: string, options: SpanOptions, work: (span: WorkSpan) => Promise<T>): Promise<T> {
    const span = new WorkSpan(this.#api, name, options);
    const begin = async () => await work(span);
    let working: Promise<T> | undefined;
    span.activate(() => {
      working ??= begin();
    });
    try {
      return await (working ?? begin());
    } catch (error) {
      span.fail(error);
      throw error;
    } finally {
      span.end();
    }
  }

  /** `null` for what is no context: whoever wrote it, the attempt must run. */
  #contextOf(headers: string): SpanContext | null {
    const [, traceId = '', spanId = '', flags = ''] = TRACEPARENT.exec(headers) ?? [];
    const state = TRACESTATE.exec(headers)?.[1];
    const found: SpanContext = {
      traceId,
      spanId,
      traceFlags: Number.parseInt(flags, 16),
      isRemote: true,
      ...(state && { traceState: this.#api.createTraceState(state) }),
    };
    return this.#api.isSpanContextValid(found) ? found : null;
  }
}

/** The span of a piece of work, which nothing that is told to it can fail. */
export class WorkSpan {
  readonly #api: Api;
  #span: Span;

  constructor(api: Api, name: string, options: SpanOptions) {
    this.#api = api;
    this.#span = api.trace.wrapSpanContext(api.INVALID_SPAN_CONTEXT);
    this.#tell(() => {
      this.#span = api.trace.getTracer(TRACER).startSpan(name, options);
    });
  }

  /** What tells later spans of this one; `null` when it is not recorded. */
  get headers(): string | null {
    let headers: string | null = null;
    this.#tell(() => {
      headers = headersOf(this.#span.spanContext());
    });
    return headers;
  }

  /** Runs `begin` with the span active; perhaps not at all, where the context manager fails. */
  activate(begin: () => void): void {
    const { trace, context } = this.#api;
    this.#tell(() => context.with(trace.setSpan(context.active(), this.#span), begin));
  }

  set(attributes: Attributes): void {
    this.#tell(() => this.#span.setAttributes(attributes));
  }

  /** Says that the work failed. */
  fail(error: unknown): void {
    const { exception, message } = shown(error);
    this.#tell(() => this.#span.recordException(exception));
    this.#tell(() => this.#span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message }));
  }

  end(): void {
    this.#tell(() => this.#span.end());
  }

  #tell(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      try {
        this.#api.diag.error('docket: the tracer failed', error);
      } catch {
        // Its logger is the user's, too.
      }
    }
  }
}

/** What is told of something thrown; it may refuse to be read. */
function shown(thrown: unknown): { readonly exception: Exception; readonly message: string } {
  try {
    if (isError(thrown)) return { exception: thrown, message: thrown.message };
    const message = String(thrown);
    return { exception: message, message };
  } catch {
    const message = describe(thrown);
    return { exception: message, message };
  }
}

const TRACEPARENT = /^traceparent: [0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/m;
const TRACESTATE = /^tracestate: (.+)$/m;
/** W3C asks to pass on 512 at least; more is left out, for it is stored with each execution. */
const LONGEST_STATE = 512;

/** Lines of `name: value`, as in HTTP; `null` for a span that nobody records. */
function headersOf({ traceId, spanId, traceFlags, traceState }: SpanContext): string | null {
  if (/^0*$/.test(traceId)) return null;
  const parent = `traceparent: 00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
  const state = traceState?.serialize() ?? '';
  return state === '' || state.length > LONGEST_STATE ? parent : `${parent}\ntracestate: ${state}`;
}

function hasProvider(): boolean {
  const registered = (globalThis as Record<symbol, unknown>)[REGISTRY] as { trace?: unknown } | undefined;
  return registered?.trace !== undefined;
}
