/** What is asked of a server: the gRPC services, or GETs of /cas. */
export type Protocol = 'grpc' | 'http';

/** How to start one cache: where it keeps its data and what it listens on is chosen by the run. */
export interface Contestant {
  readonly name: string;
  /** The rows it is measured in; it listens to each. */
  readonly speaks: readonly Protocol[];
  /** The program with its arguments, after writing whatever files it wants into the empty folder. */
  command(place: ServerPlace): Promise<readonly string[]>;
}

/** What a server gets for itself. */
export interface ServerPlace {
  /** Empty, and removed when the server is stopped. */
  readonly folder: string;
  /** `127.0.0.1:PORT` for gRPC, free a moment ago. */
  readonly grpcAddress: string;
  /** The same for a second, HTTP, listener, where the server insists on one. */
  readonly httpAddress: string;
}
