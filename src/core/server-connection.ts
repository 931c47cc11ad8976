/** What the URL of a server cannot say about the connections to it. */
import type { Duration } from './duration.js';

/** A user name or a password: text, or a function that is called for it before each attempt to connect. */
export type Credential = string | (() => string | Promise<string>);

/** Options of the connections to a server, beside its URL. */
export interface ServerConnectionOptions {
  /** User name, where the URL has none. A function is called before each attempt to connect. */
  readonly username?: Credential;
  /**
   * Password, where the URL has none. A function is called before each attempt to connect: for tokens that expire, such as
   * those of IAM.
   */
  readonly password?: Credential;
  /** TLS, for a URL that asks for it. */
  readonly tls?: TlsOptions;
  /** User name for the sentinels. @default none: they do not get that of the servers */
  readonly sentinelUsername?: Credential;
  /** Password for the sentinels. @default none: they do not get that of the servers */
  readonly sentinelPassword?: Credential;
  /** Whether the sentinels are asked over TLS. @default whether the URL asks for TLS */
  readonly sentinelTls?: boolean;
  /**
   * Where servers are reached from here, by the `host:port` that sentinels or the nodes of a cluster name. Others are reached
   * as they are named.
   */
  readonly natMap?: Readonly<Record<string, { readonly host: string; readonly port: number }>>;
  /** The version of IP that names are looked up for. @default whichever the name has */
  readonly family?: 4 | 6;
  /** How long a connection may be silent before TCP looks whether the other end is there. @default '30s' */
  readonly keepAlive?: Duration;
  /** How long one attempt to connect may take, and how long a function of a credential. @default '6s' */
  readonly connectTimeout?: Duration;
}

/** Options of TLS, as Node has them. Certificates and keys are PEM. */
export interface TlsOptions {
  /** Certificates of the authorities that are trusted. @default those that Node trusts */
  readonly ca?: string | string[];
  /** Certificate of this client. */
  readonly cert?: string;
  /** Private key of this client. */
  readonly key?: string;
  /** Passphrase of the key. */
  readonly passphrase?: string;
  /** The name that the certificate of the server must have. @default the host, of each server its own */
  readonly servername?: string;
  /** Whether a server without a trusted certificate is refused. @default true */
  readonly rejectUnauthorized?: boolean;
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
}

/** The credentials that may be functions. */
export const CREDENTIALS = ['username', 'password', 'sentinelUsername', 'sentinelPassword'] as const;

export type CredentialName = (typeof CREDENTIALS)[number];
