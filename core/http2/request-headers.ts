import type { HeaderField } from './header-field.ts';

/** The header fields of one request; those that a gRPC server looks at in each call are read once. */
export class RequestHeaders {
  readonly fields: readonly HeaderField[];
  method = '';
  path = '';
  scheme = '';
  contentType = '';
  /** The first one, if there are several. */
  authorization: string | undefined;
  /** `grpc-timeout`, `grpc-encoding`, `content-length`: undefined where the client sent none. */
  timeout: string | undefined;
  encoding: string | undefined;
  contentLength: string | undefined;
  /** What makes it no HTTP/2 request; undefined when it is one. */
  readonly fault: string | undefined;

  constructor(fields: readonly HeaderField[]) {
    this.fields = fields;
    this.fault = this.#read();
  }

  /** The value of a header by its lower-case name; of one sent several times all, with commas between. */
  get(name: string): string | undefined {
    let value: string | undefined;
    for (const field of this.fields) {
      if (field.name === name) value = value === undefined ? field.value : `${value},${field.value}`;
    }
    return value;
  }

  #read(): string | undefined {
    let regular = false;
    let authority = false;
    for (const { name, value, allowed } of this.fields) {
      if (!allowed) return 'it has a header that no request may have';
      if (name.charCodeAt(0) !== COLON) {
        regular = true;
        this.#readRegular(name, value);
        continue;
      }
      if (regular) return 'a pseudo-header stands after other headers';
      if (name === ':authority' && !authority) authority = true;
      else if (!this.#readPseudo(name, value)) return 'a pseudo-header is unknown, empty or there twice';
    }
    if (this.method === '' || this.path === '' || this.scheme === '') return 'a pseudo-header is missing';
    return undefined;
  }

  #readRegular(name: string, value: string): void {
    switch (name) {
      case 'content-type':
        this.contentType = value;
        return;
      case 'authorization':
        this.authorization ??= value;
        return;
      case 'grpc-timeout':
        this.timeout = value;
        return;
      case 'grpc-encoding':
        this.encoding = value;
        return;
      case 'content-length':
        this.contentLength = value;
    }
  }

  #readPseudo(name: string, value: string): boolean {
    switch (name) {
      case ':method':
        if (this.method !== '') return false;
        this.method = value;
        break;
      case ':path':
        if (this.path !== '') return false;
        this.path = value;
        break;
      case ':scheme':
        if (this.scheme !== '') return false;
        this.scheme = value;
        break;
      default:
        return false;
    }
    return value !== '';
  }
}

const COLON = 58;

/** What makes fields no trailers of a request; undefined when they are some. */
export function trailersFault(fields: readonly HeaderField[]): string | undefined {
  const bad = fields.some(({ name, allowed }) => !allowed || name.charCodeAt(0) === COLON);
  return bad ? 'a trailer is a pseudo-header, or one that no request may have' : undefined;
}
