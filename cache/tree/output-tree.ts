import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { decodeMessage } from '../../core/decode-message.ts';
import { Digest } from '../../core/digest.ts';
import { DIRECTORY_BYTES_MAX } from '../../core/directory.ts';
import { invalidArgument } from '../../core/error.ts';
import { TimeSlice } from '../../core/time-slice.ts';
import {
  type DigestFunction_Value,
  Directory,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/** Numbers of Tree's fields. */
const ROOT_FIELD = 1;
const CHILDREN_FIELD = 2;

/** What a Tree message refers to. */
export interface TreeReferences {
  /** Of all files, with repetitions. */
  readonly files: Digest[];
  /** Subdirectories the message itself lacks. */
  readonly absentDirectories: Digest[];
}

/**
 * What a Tree message needs besides itself. Subdirectories are told by the digests of the very bytes that stand for
 * them, so the message is taken apart by hand: encoding a child anew could give other bytes. INVALID_ARGUMENT when
 * it is malformed. Names are not checked: nothing is written out here.
 */
export async function treeReferences(
  bytes: Uint8Array,
  digestFunction: DigestFunction_Value,
): Promise<TreeReferences> {
  const slice = new TimeSlice();
  const held = new Set<string>();
  const directories = new Map<string, Digest>();
  const files: Digest[] = [];
  for (const [field, encoded] of messagesOf(bytes)) {
    if (encoded.byteLength > DIRECTORY_BYTES_MAX) {
      throw invalidArgument(`tree: a directory in it has more than ${DIRECTORY_BYTES_MAX} bytes`);
    }
    if (field === CHILDREN_FIELD) held.add(Digest.ofBytes(encoded, digestFunction).key);
    const directory = decodeMessage(Directory, encoded, 'tree');
    for (const node of directory.files) files.push(Digest.fromMessage(node.digest, digestFunction));
    for (const node of directory.directories) {
      const digest = Digest.fromMessage(node.digest, digestFunction);
      directories.set(digest.key, digest);
    }
    await slice.pause();
  }
  const absentDirectories = [...directories.values()].filter(({ key }) => !held.has(key));
  return { files, absentDirectories };
}

/** Encoded root and children, in order. */
function* messagesOf(bytes: Uint8Array): Generator<[field: number, encoded: Uint8Array]> {
  const reader = new BinaryReader(bytes);
  try {
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if ((field === ROOT_FIELD || field === CHILDREN_FIELD) && wireType === WireType.LengthDelimited) {
        yield [field, reader.bytes()];
      } else {
        reader.skip(wireType, field);
      }
    }
  } catch (cause) {
    throw invalidArgument('tree is not a well-formed message', { cause });
  }
}
