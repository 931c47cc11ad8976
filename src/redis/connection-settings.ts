/** What the URL of a server cannot say about connections to it, as the connections use it. */
import type { ConnectionOptions as TlsOptions } from 'node:tls';

/** A user name or a password: text, or a function that is asked for it before each attempt to connect. */
export type Credential = string | (() => string | Promise<string>);

/** A server behind a translation of addresses: where it is reached from here. */
export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

/** Settings of the connections of a docket, beside its URL. */
export interface ConnectionSettings {
  readonly username?: Credential;
  readonly password?: Credential;
  /** Added to what the scheme of the URL says. */
  readonly tls?: TlsOptions;
  readonly sentinelUsername?: Credential;
  readonly sentinelPassword?: Credential;
  /** Whether sentinels are asked over TLS. @default whether the servers are */
  readonly sentinelTls?: boolean;
  /** Addresses from here, by the `host:port` that sentinels or nodes of the cluster name. */
  readonly natMap?: Readonly<Record<string, NodeAddress>>;
  readonly family?: 4 | 6;
  readonly keepAliveMs?: number;
  readonly connectTimeoutMs?: number;
}
