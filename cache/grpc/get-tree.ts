import { Digest } from '../../core/digest.ts';
import { invalidArgument, notFound } from '../../core/error.ts';
import type {
  Directory,
  GetTreeRequest,
  GetTreeResponse,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import { walkTree } from '../tree/tree-walk.ts';

/** Directories of one response, whatever the client asks for. */
const PAGE_DIRECTORIES_MAX = 1000;
/** Encoded bytes of a response at which no further directory is added to it. */
const PAGE_BYTES_MAX = 1024 * 1024;

/**
 * The distinct directories of a tree, page after page until the end. Absent ones are left out; an absent root is
 * NOT_FOUND. A page token says how many directories to leave out, absent ones included, and of which root.
 */
export async function* getTree(
  { rootDigest, digestFunction, pageSize, pageToken }: GetTreeRequest,
  store: BlobStore,
  options: BlobOptions,
): AsyncGenerator<GetTreeResponse, void, undefined> {
  if (pageSize < 0) throw invalidArgument(`page_size is ${pageSize}, expected 0 or more`);
  const root = Digest.fromMessage(rootDigest, digestFunction);
  const skipped = parseToken(pageToken, root);
  const directoriesMax = pageSize === 0 ? PAGE_DIRECTORIES_MAX : Math.min(pageSize, PAGE_DIRECTORIES_MAX);
  let page: Directory[] = [];
  let pageBytes = 0;
  let seen = 0;
  for await (const { digest, directory } of walkTree(store, root, undefined, options)) {
    if (directory === undefined && seen === 0) throw notFound(`directory ${root} is not here`);
    const isFull = page.length >= directoriesMax || pageBytes + digest.sizeBytes > PAGE_BYTES_MAX;
    if (directory !== undefined && seen >= skipped && page.length > 0 && isFull) {
      yield { directories: page, nextPageToken: formatToken(seen, root) };
      page = [];
      pageBytes = 0;
    }
    seen += 1;
    if (directory === undefined || seen <= skipped) continue;
    page.push(directory);
    pageBytes += digest.sizeBytes;
  }
  yield { directories: page, nextPageToken: '' };
}

function formatToken(seen: number, root: Digest): string {
  return `${seen}-${root.hash}`;
}

function parseToken(token: string, root: Digest): number {
  if (token === '') return 0;
  const [, seen, hash] = /^([1-9][0-9]{0,8})-([0-9a-f]+)$/.exec(token) ?? [];
  if (hash !== root.hash) throw invalidArgument(`page_token is none that was given for directory ${root}`);
  return Number(seen);
}
