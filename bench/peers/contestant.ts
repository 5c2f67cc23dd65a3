/** How to start one cache: where it keeps its data and what it listens on is chosen by the run. */
export interface Contestant {
  readonly name: string;
  /** False for one that only has the HTTP listener. */
  readonly hasGrpc?: boolean;
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
