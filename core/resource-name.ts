import {
  Compressor_Value,
  DigestFunction_Value,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Digest } from './digest.ts';
import { type IngotError, invalidArgument } from './error.ts';
import { quote } from './quote.ts';

/** Longest resource name, in bytes of UTF-8: an instance name, a UUID, a SHA-512, and room for a note. */
const NAME_BYTES_MAX = 1024;
/** Longest instance name, in bytes of UTF-8. */
const INSTANCE_NAME_BYTES_MAX = 256;
/** Longest operation id in a log stream's name; ours are UUIDs. */
const OPERATION_ID_CHARACTERS_MAX = 128;

/** Words REAPI keeps for itself: no segment of an instance name may be one. */
const RESERVED_SEGMENTS: ReadonlySet<string> = new Set([
  'blobs',
  'uploads',
  'actions',
  'actionResults',
  'operations',
  'capabilities',
  'compressed-blobs',
]);

const COMPRESSORS: ReadonlyMap<string, Compressor_Value> = new Map<string, Compressor_Value>([
  ['zstd', Compressor_Value.ZSTD],
  ['deflate', Compressor_Value.DEFLATE],
  ['brotli', Compressor_Value.BROTLI],
]);
const COMPRESSOR_SEGMENTS = new Map([...COMPRESSORS].map(([segment, value]) => [value, segment]));

/** Digest functions that must be named in a resource name; of the others the name must not speak. */
const FUNCTIONS: ReadonlyMap<string, DigestFunction_Value> = new Map<string, DigestFunction_Value>([
  ['sha256tree', DigestFunction_Value.SHA256TREE],
  ['blake3', DigestFunction_Value.BLAKE3],
  ['gitsha1', DigestFunction_Value.GITSHA1],
]);
const FUNCTION_SEGMENTS = new Map([...FUNCTIONS].map(([segment, value]) => [value, segment]));

const DECIMAL = /^(?:0|[1-9][0-9]{0,15})$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const OPERATION_ID = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const CONTROL = /\p{Cc}/u;
/** What almost all names are; one look tells that nothing of the rest need be checked. */
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;

/** What a ByteStream read of a blob names. The digest is that of the uncompressed bytes. */
export interface ReadName {
  readonly instanceName: string;
  readonly digest: Digest;
  /** Any compressor REAPI knows; whether we offer it is for the service to say. */
  readonly compressor: Compressor_Value;
}

/** What a ByteStream write of a blob names. */
export interface WriteName extends ReadName {
  /** The client's own name for the upload, as it wrote it. */
  readonly uuid: string;
}

/** Which output of a running action a log stream carries. */
export type LogStreamKind = 'stdout' | 'stderr';

/** What a ByteStream name of a log stream names. */
export interface LogName {
  readonly instanceName: string;
  readonly operationId: string;
  readonly stream: LogStreamKind;
}

/** `{instance/}blobs/…` or `{instance/}compressed-blobs/{compressor}/…`; INVALID_ARGUMENT for anything else. */
export function parseReadName(name: string): ReadName {
  const segments = segmentsOf(name);
  const start = segments.findIndex((segment) => segment === 'blobs' || segment === 'compressed-blobs');
  if (start === -1) throw malformed(name, 'it has neither blobs nor compressed-blobs in it');
  const { blob, rest } = parseBlob(name, segments.slice(start));
  if (rest.length > 0) throw malformed(name, 'something follows the size');
  return { instanceName: instanceNameOf(segments.slice(0, start)), ...blob };
}

/** `{instance/}uploads/{uuid}/…` and then as for a read; what follows the size is ignored, as REAPI says. */
export function parseWriteName(name: string): WriteName {
  const segments = segmentsOf(name);
  const start = segments.indexOf('uploads');
  if (start === -1) throw malformed(name, 'it has no uploads in it');
  const uuid = segments[start + 1] ?? '';
  if (!UUID.test(uuid)) throw malformed(name, `${quote(uuid)} after uploads is not a UUID`);
  const { blob } = parseBlob(name, segments.slice(start + 2));
  return { instanceName: instanceNameOf(segments.slice(0, start)), uuid, ...blob };
}

/** The name a client reads a blob by. */
export function formatReadName({ instanceName, digest, compressor }: ReadName): string {
  return joined(instanceName, blobSegments(digest, compressor));
}

/** The name a client writes a blob by. */
export function formatWriteName({ instanceName, uuid, digest, compressor }: WriteName): string {
  if (!UUID.test(uuid)) throw invalidArgument(`upload name ${quote(uuid)} is not a UUID`);
  return joined(instanceName, ['uploads', uuid, ...blobSegments(digest, compressor)]);
}

/** `{instance/}logs/{operation id}/{stdout|stderr}`; INVALID_ARGUMENT for anything else. */
export function parseLogName(name: string): LogName {
  const segments = segmentsOf(name);
  const [word, operationId = '', stream] = segments.slice(-3);
  if (segments.length < 3 || word !== 'logs' || (stream !== 'stdout' && stream !== 'stderr')) {
    throw malformed(name, 'expected logs/{operation id}/stdout or …/stderr at its end');
  }
  checkOperationId(operationId);
  return { instanceName: instanceNameOf(segments.slice(0, -3)), operationId, stream };
}

/** The name of one output of an operation. */
export function formatLogName({ instanceName, operationId, stream }: LogName): string {
  checkOperationId(operationId);
  return joined(instanceName, ['logs', operationId, stream]);
}

/** True when the name ends as log streams' names do, which no blob's name does: the way to tell them apart. */
export function isLogName(name: string): boolean {
  return /(?:^|\/)logs\/[^/]*\/std(?:out|err)$/.test(name);
}

/** INVALID_ARGUMENT unless the name may name an instance; the empty one may. */
export function checkInstanceName(instanceName: string): void {
  if (instanceName === '') return;
  const refuse = (why: string): IngotError => invalidArgument(`instance name ${quote(instanceName)}: ${why}`);
  if (!instanceName.isWellFormed()) throw refuse('it is not well-formed Unicode');
  if (Buffer.byteLength(instanceName) > INSTANCE_NAME_BYTES_MAX) {
    throw refuse(`it is longer than ${INSTANCE_NAME_BYTES_MAX} bytes`);
  }
  if (CONTROL.test(instanceName)) throw refuse('it contains a control character');
  for (const segment of instanceName.split('/')) {
    if (segment === '') throw refuse('it has an empty segment');
    if (segment === '.' || segment === '..') throw refuse(`it has ${segment} as a segment`);
    if (RESERVED_SEGMENTS.has(segment)) throw refuse(`its segment ${segment} is a reserved word`);
  }
}

function segmentsOf(name: string): string[] {
  if (name.length <= NAME_BYTES_MAX && PRINTABLE_ASCII.test(name)) return name.split('/');
  if (!name.isWellFormed()) throw malformed(name, 'it is not well-formed Unicode');
  if (Buffer.byteLength(name) > NAME_BYTES_MAX)
    throw malformed(name, `it is longer than ${NAME_BYTES_MAX} bytes`);
  if (CONTROL.test(name)) throw malformed(name, 'it contains a control character');
  return name.split('/');
}

function instanceNameOf(segments: readonly string[]): string {
  // [''] is a name that begins with a slash; joined it would pass for the empty instance name.
  if (segments[0] === '') throw invalidArgument('resource name begins with a slash');
  const instanceName = segments.join('/');
  checkInstanceName(instanceName);
  return instanceName;
}

interface ParsedBlob {
  readonly blob: { readonly digest: Digest; readonly compressor: Compressor_Value };
  /** What follows the size. */
  readonly rest: readonly string[];
}

/** From `blobs` or `compressed-blobs` on. */
function parseBlob(name: string, segments: readonly string[]): ParsedBlob {
  const [word, ...afterWord] = segments;
  let compressor: Compressor_Value = Compressor_Value.IDENTITY;
  let tail: readonly string[] = afterWord;
  if (word === 'compressed-blobs') {
    const known = COMPRESSORS.get(tail[0] ?? '');
    if (known === undefined) throw malformed(name, `${quote(tail[0] ?? '')} is not a known compressor`);
    compressor = known;
    tail = tail.slice(1);
  } else if (word !== 'blobs') {
    throw malformed(name, `${quote(word ?? '')} stands where blobs or compressed-blobs is expected`);
  }
  const digestFunction = FUNCTIONS.get(tail[0] ?? '') ?? DigestFunction_Value.UNKNOWN;
  if (digestFunction !== DigestFunction_Value.UNKNOWN) tail = tail.slice(1);
  const [hash = '', size = '', ...rest] = tail;
  if (!DECIMAL.test(size)) throw malformed(name, `${quote(size)} is not a size in bytes`);
  return { blob: { digest: Digest.of(hash, Number(size), digestFunction), compressor }, rest };
}

function blobSegments(digest: Digest, compressor: Compressor_Value): string[] {
  const functionSegment = FUNCTION_SEGMENTS.get(digest.digestFunction);
  const digestSegments = [
    ...(functionSegment === undefined ? [] : [functionSegment]),
    digest.hash,
    String(digest.sizeBytes),
  ];
  if (compressor === Compressor_Value.IDENTITY) return ['blobs', ...digestSegments];
  const compressorSegment = COMPRESSOR_SEGMENTS.get(compressor);
  if (compressorSegment === undefined) throw invalidArgument(`compressor ${compressor} is not known`);
  return ['compressed-blobs', compressorSegment, ...digestSegments];
}

function joined(instanceName: string, segments: readonly string[]): string {
  checkInstanceName(instanceName);
  return instanceName === '' ? segments.join('/') : `${instanceName}/${segments.join('/')}`;
}

function checkOperationId(operationId: string): void {
  if (operationId.length > OPERATION_ID_CHARACTERS_MAX || !OPERATION_ID.test(operationId)) {
    throw invalidArgument(
      `operation id ${quote(operationId)} is not 1 to ${OPERATION_ID_CHARACTERS_MAX} letters, digits, dots, dashes or underscores`,
    );
  }
}

function malformed(name: string, why: string): IngotError {
  return invalidArgument(`resource name ${quote(name)}: ${why}`);
}
