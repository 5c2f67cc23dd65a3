/**
 * A breach of HTTP/2 by the peer that ends its connection with GOAWAY. Its code is HTTP/2's and never reaches a
 * caller as a status, so this is no IngotError.
 */
export class Http2Error extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = 'Http2Error';
    this.code = code;
  }
}
