import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HpackDecoder } from '../../../core/http2/hpack-decoder.ts';
import { encodeHeaders } from '../../../core/http2/hpack-encoder.ts';
import { staticTable } from '../../../core/http2/hpack-static-table.ts';
import { literal } from '../../setup/frame-client.ts';

const decoderOf = (listBytesMax = 10_000) => new HpackDecoder({ listBytesMax });

function decode(hex: string | Uint8Array, decoder = decoderOf()) {
  const bytes = typeof hex === 'string' ? Buffer.from(hex.replaceAll(' ', ''), 'hex') : hex;
  return decoder.decode(bytes, 0, bytes.length).fields.map(({ name, value }) => `${name}=${value}`);
}

describe('HpackDecoder', () => {
  it('reads the requests of RFC 7541, C.4, each with what the one before left in the table', () => {
    const decoder = decoderOf();
    const common = [':method=GET', ':scheme=http', ':path=/', ':authority=www.example.com'];
    expect(decode('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff', decoder)).toEqual(common);
    expect(decode('8286 84be 5886 a8eb 1064 9cbf', decoder)).toEqual([...common, 'cache-control=no-cache']);
    expect(decode('8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf', decoder)).toEqual([
      ':method=GET',
      ':scheme=https',
      ':path=/index.html',
      ':authority=www.example.com',
      'custom-key=custom-value',
    ]);
  });

  it('knows 61 fields by their numbers', () => {
    expect(staticTable).toHaveLength(61);
    expect(staticTable.at(-1)?.name).toBe('www-authenticate');
    expect(staticTable[30]?.name).toBe('content-type');
  });

  it('drops what was indexed first once the table is full, and all when it is made empty', () => {
    const decoder = decoderOf(100_000);
    const large = (letter: string) => literal(letter, letter.repeat(1900), 0x40);
    decode(Buffer.concat([large('a'), large('b')]), decoder);
    expect(decode(Buffer.from([0xbe, 0xbf]), decoder).map((field) => field[0])).toEqual(['b', 'a']);
    decode(large('c'), decoder);
    expect(decode(Buffer.from([0xbe, 0xbf]), decoder).map((field) => field[0])).toEqual(['c', 'b']);
    expect(() => decode(Buffer.from([0xc0]), decoder)).toThrow('no field has the number 64');
    expect(decode(Buffer.from([0x20, 0x82]), decoder)).toEqual([':method=GET']);
    expect(() => decode(Buffer.from([0xbe]), decoder)).toThrow('no field has the number 62');
  });

  it('is emptied by a field larger than the table', () => {
    const decoder = decoderOf(100_000);
    decode(literal('a', 'b', 0x40), decoder);
    expect(decode(literal('c', 'd'.repeat(5000), 0x40), decoder)).toHaveLength(1);
    expect(() => decode(Buffer.from([0xbe]), decoder)).toThrow('no field has the number 62');
  });

  it('keeps its numbers right over thousands of fields', () => {
    const decoder = decoderOf(100_000);
    for (let count = 0; count < 5000; count++) decode(literal('n', String(count), 0x40), decoder);
    expect(decode(Buffer.from([0xbe, 0xc0]), decoder)).toEqual(['n=4999', 'n=4997']);
  });

  it('counts what is over the limit and does not keep it, however cheap it is to name', () => {
    const decoder = decoderOf(4096);
    decode(literal('bomb', 'x'.repeat(3900), 0x40), decoder);
    const bomb = Buffer.alloc(60_000, 0xbe);
    const { fields, overLimit } = decoder.decode(bomb, 0, bomb.length);
    expect(overLimit).toBe(true);
    expect(fields).toHaveLength(1);
  });

  it.each([
    ['80', 'no field has the number 0'],
    ['ff00', 'no field has the number 127'],
    ['ffffffffffff', 'an integer has too many bytes'],
    ['7f', 'it ends inside a field'],
    ['0003616263', 'it ends inside a field'],
    ['00056162', 'a string is longer than the block'],
    ['8220', 'the table size changes after a field'],
    ['3fe21f', 'the table is to have 4097 bytes, more than 4096'],
  ])('refuses %s', (hex, message) => {
    expect(() => decode(hex)).toThrow(
      expect.objectContaining({ code: 9, message: `Read a header block: ${message}` }),
    );
  });

  it.each([
    ['00 0161 82 1fff', 'a Huffman string ends inside a character'],
    ['00 0161 82 1800', 'a Huffman string ends inside a character'],
    ['00 0161 84 ffffffff', 'a Huffman string has an end inside'],
  ])('refuses the Huffman string in %s', (hex, message) => {
    expect(() => decode(hex)).toThrow(expect.objectContaining({ code: 9, message }));
  });

  it('reads what the encoder writes', () => {
    const text = (unit: fc.Arbitrary<string>, minLength = 0) =>
      fc.string({ unit, minLength, maxLength: 300 });
    const name = text(fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz-0123456789'), 1);
    const value = text(fc.integer({ min: 32, max: 255 }).map((code) => String.fromCharCode(code)));
    const known = fc.constantFrom<[string, string]>([':status', '200'], ['content-type', 'a'], ['via', '']);
    fc.assert(
      fc.property(fc.array(fc.oneof(known, fc.tuple(name, value)), { maxLength: 10 }), (fields) => {
        expect(decode(encodeHeaders(fields))).toEqual(fields.map(([key, text]) => `${key}=${text}`));
      }),
    );
  });
});
