import { HeaderField } from './header-field.ts';
import { DynamicTable } from './hpack-dynamic-table.ts';
import { staticTable } from './hpack-static-table.ts';
import { Http2Error } from './http2-error.ts';
import { decodeHuffman } from './huffman-decoder.ts';
import { DEFAULT_HEADER_TABLE_BYTES, ErrorCode } from './protocol.ts';

/** The fields of one header block, in their order. */
export interface HeaderList {
  readonly fields: readonly HeaderField[];
  /** They were more than the limit; those beyond it are not in `fields`. */
  readonly overLimit: boolean;
}

const INDEXED = 0x80;
const LITERAL_INDEXED = 0x40;
const TABLE_SIZE = 0x20;
const HUFFMAN = 0x80;
const INTEGER_BITS_MAX = 28; // Five bytes; no number here is meant to be larger.

function malformed(what: string): Http2Error {
  return new Http2Error(ErrorCode.compressionError, `Read a header block: ${what}`);
}

/**
 * HPACK for the requests of one connection. Every block must be given to it in turn, those of refused requests
 * too, for the table is shared with the peer. What is over the limit is counted, and not kept.
 */
export class HpackDecoder {
  readonly #table = new DynamicTable(DEFAULT_HEADER_TABLE_BYTES);
  readonly #listBytesMax: number;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;

  constructor({ listBytesMax }: { readonly listBytesMax: number }) {
    this.#listBytesMax = listBytesMax;
  }

  /** Throws COMPRESSION_ERROR, after which the connection cannot go on. */
  decode(bytes: Uint8Array, start: number, end: number): HeaderList {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    const fields: HeaderField[] = [];
    let listBytes = 0;
    let first = true;
    while (this.#at < end) {
      const byte = bytes[this.#at] ?? 0;
      if ((byte & 0xe0) === TABLE_SIZE) {
        if (!first) throw malformed('the table size changes after a field');
        this.#resize();
        continue;
      }
      first = false;
      const field = (byte & INDEXED) !== 0 ? this.#field(this.#integer(7)) : this.#literal(byte);
      listBytes += field.bytes;
      if (listBytes <= this.#listBytesMax) fields.push(field);
    }
    return { fields, overLimit: listBytes > this.#listBytesMax };
  }

  #resize(): void {
    const bytesMax = this.#integer(5);
    if (bytesMax > DEFAULT_HEADER_TABLE_BYTES) {
      throw malformed(`the table is to have ${bytesMax} bytes, more than ${DEFAULT_HEADER_TABLE_BYTES}`);
    }
    this.#table.resize(bytesMax);
  }

  #literal(byte: number): HeaderField {
    const indexed = (byte & LITERAL_INDEXED) !== 0;
    const number = this.#integer(indexed ? 6 : 4);
    const name = number === 0 ? this.#string() : this.#field(number).name;
    const field = new HeaderField(name, this.#string());
    if (indexed) this.#table.add(field);
    return field;
  }

  #field(number: number): HeaderField {
    const field =
      number <= staticTable.length
        ? staticTable[number - 1]
        : this.#table.at(number - 1 - staticTable.length);
    if (field === undefined) throw malformed(`no field has the number ${number}`);
    return field;
  }

  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = this.#byte() & mask;
    if (value < mask) return value;
    for (let shift = 0; shift < INTEGER_BITS_MAX; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw malformed('an integer has too many bytes');
  }

  #string(): string {
    const huffman = (this.#bytes[this.#at] ?? 0) & HUFFMAN;
    const length = this.#integer(7);
    const start = this.#at;
    if (length > this.#end - start) throw malformed('a string is longer than the block');
    this.#at = start + length;
    return huffman !== 0 ? decodeHuffman(this.#bytes, start, this.#at) : latin1(this.#bytes, start, this.#at);
  }

  #byte(): number {
    if (this.#at >= this.#end) throw malformed('it ends inside a field');
    return this.#bytes[this.#at++] ?? 0;
  }
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}
