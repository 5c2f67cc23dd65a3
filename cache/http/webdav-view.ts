import { invalidArgument } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import { ByteBudget } from '../../core/rpc/rpc-byte-budget.ts';
import { checkUpdateEnabled } from '../actions/check-update-enabled.ts';
import type { OpaqueListed } from '../actions/opaque-entries.ts';
import { BodyHead } from './body-head.ts';
import type { HttpContent, HttpFolderView, HttpPutStatus, HttpRead, HttpWrite } from './http-exchange.ts';
import type { OpaqueValues } from './opaque-values.ts';
import { isFolderName } from './webdav-name.ts';

/** Bytes of values held in memory over all PUTs; what is larger than a share of it goes straight to the disk. */
const BUFFERED_BYTES_MAX = 64 * 1024 * 1024;

/** What the /webdav view depends on. */
export interface WebDavViewDependencies {
  readonly values: OpaqueValues;
  /** Clients may file values of their own. */
  readonly updateEnabled: boolean;
}

/**
 * Values under /webdav by whatever path a client likes, as sccache, ccache's plain layouts and Gradle store them. Each
 * instance has its own. Folders are what the paths imply: all exist, and none has to be made.
 */
export class WebDavView implements HttpFolderView {
  readonly #dependencies: WebDavViewDependencies;
  readonly #budget = new ByteBudget(BUFFERED_BYTES_MAX);

  constructor(dependencies: WebDavViewDependencies) {
    this.#dependencies = dependencies;
  }

  async find(read: HttpRead): Promise<HttpContent | undefined> {
    return isFolderName(read.target.name) ? undefined : this.#dependencies.values.find(read);
  }

  async put(write: HttpWrite): Promise<HttpPutStatus> {
    const { values, updateEnabled } = this.#dependencies;
    const { name } = write.target;
    checkUpdateEnabled('PUT below /webdav', updateEnabled);
    if (isFolderName(name)) throw invalidArgument(`PUT ${quote(name)}: that is the name of a folder`);
    using head = await BodyHead.take(write, this.#budget);
    const earlier = await values.digestOf(write);
    await values.put(write, head);
    return earlier === undefined ? 201 : 204;
  }

  async remove(read: HttpRead): Promise<boolean> {
    const { values, updateEnabled } = this.#dependencies;
    checkUpdateEnabled('DELETE below /webdav', updateEnabled);
    const digest = await values.digestOf(read);
    if (digest === undefined) return false;
    await values.drop(read, digest);
    return true;
  }

  list(read: HttpRead): AsyncIterable<OpaqueListed> {
    return this.#dependencies.values.list(read);
  }
}
