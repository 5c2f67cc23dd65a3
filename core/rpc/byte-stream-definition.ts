import { BinaryWriter } from '@bufbuild/protobuf/wire';
import {
  ByteStreamDefinition as GeneratedDefinition,
  ReadResponse,
  WriteRequest,
} from '../../proto/gen/google/bytestream/bytestream.ts';

/** Tag of the field `data` of both messages: its number, and that it is length-delimited. */
const DATA_TAG = (10 << 3) | 2;

/** What `writer` holds and the tag and length of `data`; then `data` itself, not copied. */
function withData(writer: BinaryWriter, data: Uint8Array): readonly Uint8Array[] {
  if (data.length === 0) return [writer.finish()];
  return [writer.uint32(DATA_TAG).uint32(data.length).finish(), data];
}

const readResponse = {
  ...ReadResponse,
  encodeParts: ({ data }: ReadResponse) => withData(new BinaryWriter(), data),
};

const NO_DATA = new Uint8Array(0);

const writeRequest = {
  ...WriteRequest,
  // `data` has the highest field number, so what the generated codec writes of the rest stands before it.
  encodeParts: (message: WriteRequest) =>
    withData(WriteRequest.encode({ ...message, data: NO_DATA }), message.data),
};

/**
 * google.bytestream.ByteStream as all our servers and clients use it: the generated definition, but messages that
 * carry data are sent without copying it (a fifth of the processor time of a download).
 */
export const ByteStreamDefinition = {
  ...GeneratedDefinition,
  methods: {
    ...GeneratedDefinition.methods,
    read: { ...GeneratedDefinition.methods.read, responseType: readResponse },
    write: { ...GeneratedDefinition.methods.write, requestType: writeRequest },
  },
} as const;
export type ByteStreamDefinition = typeof ByteStreamDefinition;
